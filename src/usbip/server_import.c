/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "usbip/server_import.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"

static void
wake_parked(void *arg)
{
	struct parker *p = arg;

	/* Signalled under the lock: when the sleeper runs again, this thread
	 * has done with `p`, which may then be freed. */
	pthread_mutex_lock(&p->lock);
	p->woken = true;
	pthread_cond_signal(&p->cond);
	pthread_mutex_unlock(&p->lock);
}

struct import *
import_new(struct server_registry *registry, struct mailbox *server,
    int ended_type)
{
	struct import *im = calloc(1, sizeof *im);

	if (im == NULL)
		return NULL;
	im->waker = waker_new_polled();
	if (im->waker == NULL) {
		free(im);
		return NULL;
	}
	im->fd = -1;
	im->registry = registry;
	im->server = server;
	im->ended.type = ended_type;
	mailbox_init_waker(&im->returned, im->waker);
	mailbox_init(&im->outgoing, wake_parked, &im->parker);
	pthread_mutex_init(&im->parker.lock, NULL);
	pthread_cond_init(&im->parker.cond, NULL);
	return im;
}

void
import_free(struct import *im)
{
	if (im->fd >= 0)
		close(im->fd);
	pthread_cond_destroy(&im->parker.cond);
	pthread_mutex_destroy(&im->parker.lock);
	waker_put(im->waker);
	free(im);
}

void
import_unplug(struct import *im)
{
	/* Release: pairs with the acquire loads in rx and tx. */
	atomic_store_explicit(&im->gone, true, memory_order_release);
	/* Wakes rx; the replies that are still to be sent can leave. */
	shutdown(im->fd, SHUT_RD);
}

void
import_kick(struct import *im)
{
	/* Release: pairs with the acquire load in rx. */
	atomic_store_explicit(&im->kicked, true, memory_order_release);
	/* Nothing more is to be said; a tx that waits for the importer to
	 * read wakes, too. */
	shutdown(im->fd, SHUT_RDWR);
}

void
import_say_refused(const struct import *im, int status)
{
	static struct log_limit refusals;
	char more[LOG_LIMIT_MAX];

	if (log_limit_pass(&refusals, more) != NULL)
		log_warning("device %s: import by %s refused: %s%s",
		    im->entry.busid, im->peer,
		    usbip_status_text((uint32_t)status), more);
}
