/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fuzz.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/cursor.h"
#include "base/log.h"
#include "usbip/server.h"

/*
 * The USB/IP server engine with hostile importers.  The input is what one
 * importer sends; a model reads the same bytes and says which replies must
 * come, and whether the engine must hang up.
 *
 * Odd endpoints, and 0, complete at once; even ones only when cancelled.
 */

#define INPUT_MAX 65536 /* fits into a socket's buffer */
#define REPLY_DATA 512  /* bytes that an IN gives, so that replies fit too */
#define REQUESTS_MAX (INPUT_MAX / USBIP_PDU_SIZE)
#define PATIENCE_S 10

/* ---- Backend ------------------------------------------------------------ */

static struct {
	struct usbip_device dev;
	pthread_mutex_t lock;
	struct usbip_urb *held; /* through msg.node */
} device;

static bool
is_held(unsigned endpoint)
{
	return endpoint % 2 == 0 && endpoint != 0;
}

static void
fuzz_submit(struct usbip_device *dev, struct usbip_urb *u)
{
	(void)dev;
	MUST(u->length <= USBIP_LENGTH_MAX);
	MUST(u->iso_count <= USBIP_ISO_PACKETS_MAX);
	for (uint32_t i = 0; i < u->iso_count; i++)
		MUST(usbip_iso_fits(&u->iso[i], u->length));
	if (!is_held(u->endpoint & 0xf)) {
		const uint32_t n = u->length < REPLY_DATA ? u->length
							  : REPLY_DATA;

		if (usbip_urb_is_in(u))
			memset(u->buffer, 0x5a, n);
		usbip_urb_complete(u, USBIP_OK, n);
		return;
	}
	pthread_mutex_lock(&device.lock);
	u->msg.node.next = (struct qnode *)device.held;
	device.held = u;
	pthread_mutex_unlock(&device.lock);
}

static void
fuzz_cancel(struct usbip_device *dev, struct usbip_urb *u)
{
	struct usbip_urb **at = &device.held;
	bool mine;

	(void)dev;
	pthread_mutex_lock(&device.lock);
	while (*at != NULL && *at != u)
		at = (struct usbip_urb **)&(*at)->msg.node.next;
	mine = *at != NULL;
	if (mine)
		*at = (struct usbip_urb *)u->msg.node.next;
	pthread_mutex_unlock(&device.lock);
	if (mine)
		usbip_urb_complete(u, USBIP_ECONNRESET, 0);
}

static const struct usbip_device_ops ops = {
	.submit = fuzz_submit,
	.cancel = fuzz_cancel,
};

/* A server for each input, so that nothing is left when the next one comes. */
static struct usbip_server *
start_server(void)
{
	const struct usbip_description desc = {
		.device = { .busid = "1-1", .bus = 1, .address = 2 } };
	struct usbip_server *server;
	struct cause why;

	log_set_level(LOG_LEVEL_FATAL);
	pthread_mutex_init(&device.lock, NULL);
	device.dev.ops = &ops;
	server = usbip_server_new(&why);
	MUST(server != NULL);
	MUST(usbip_server_plug(server, &device.dev, &desc, &why) == 0);
	return server;
}

/* ---- Model -------------------------------------------------------------- */

/* What the importer has asked for, in the order of asking. */
struct request {
	struct usbip_pdu pdu;
	bool answered;
};

struct model {
	struct request requests[REQUESTS_MAX];
	size_t count;
	size_t replies; /* that must come without more being asked */
	const uint8_t *start;
	size_t len;     /* of the input, up to what the model leaves out */
	size_t held;    /* bytes that held SUBMITs may keep, taken back or not */
	bool hung_up;   /* after them, or instead of some */
};

static struct request *
model_find(struct model *m, uint32_t command, uint32_t seqnum)
{
	for (size_t i = m->count; i-- > 0;)
		if (m->requests[i].pdu.command == command &&
		    m->requests[i].pdu.seqnum == seqnum)
			return &m->requests[i];
	return NULL;
}

/* True while the SUBMIT waits to be cancelled.  (One with packets may have been
 * refused instead: that is left open.) */
static bool
model_waits(const struct model *m, const struct request *rq)
{
	const struct usbip_pdu *pdu = &rq->pdu;

	if (!is_held(pdu->endpoint) || pdu->endpoint > USBIP_ENDPOINT_MAX ||
	    pdu->submit.length > USBIP_LENGTH_MAX || pdu->submit.packets > 0)
		return false;
	for (size_t i = (size_t)(rq - m->requests); i < m->count; i++)
		if (m->requests[i].pdu.command == USBIP_CMD_UNLINK &&
		    m->requests[i].pdu.unlink.seqnum == pdu->seqnum)
			return false;
	return true;
}

/* The most that a SUBMIT takes of the bytes that there are for an import. */
static size_t
model_room(const struct usbip_pdu *pdu)
{
	size_t room = 512;

	if (pdu->submit.length > USBIP_LENGTH_MAX)
		return 0;
	while (room < (size_t)pdu->submit.length)
		room *= 2;
	return room;
}

/* Reads one request.  False at the end of what is whole. */
static bool
model_step(struct model *m, struct reader *r)
{
	const struct reader before = *r;
	const uint8_t *head = read_bytes(r, USBIP_PDU_SIZE);
	struct request *rq = &m->requests[m->count], *same;
	int64_t follows = 0;

	if (head == NULL)
		return false;
	rq->answered = false;
	if (usbip_pdu_decode(&rq->pdu, head) < 0 ||
	    rq->pdu.command > USBIP_CMD_UNLINK ||
	    rq->pdu.devid != usbip_devid(1, 2)) {
		m->hung_up = true;
		return false;
	}
	if (rq->pdu.command == USBIP_CMD_SUBMIT) {
		follows = usbip_submit_payload(&rq->pdu);
		same = model_find(m, USBIP_CMD_SUBMIT, rq->pdu.seqnum);
		if (follows < 0 || (same != NULL && model_waits(m, same))) {
			m->hung_up = true;
			return false;
		}
		/* A seqnum may be used again, but then a reply does not say
		 * which SUBMIT it is for; and one that must wait for room is
		 * answered when others have been. */
		if (same != NULL ||
		    m->held + model_room(&rq->pdu) > USBIP_SERVER_BYTES_MAX) {
			m->len = (size_t)(before.at - m->start);
			return false;
		}
	}
	if (read_bytes(r, (size_t)follows) == NULL && follows > 0)
		return false;
	if (rq->pdu.command == USBIP_CMD_SUBMIT && is_held(rq->pdu.endpoint))
		m->held += model_room(&rq->pdu);
	m->count++;
	return true;
}

/* ---- Comparison --------------------------------------------------------- */

static bool
receive(int fd, void *bytes, size_t len)
{
	char *at = bytes;

	while (len > 0) {
		const ssize_t n = recv(fd, at, len, 0);

		if (n < 0 && errno == EINTR) /* the fuzzer's alarm */
			continue;
		MUST(n >= 0 || errno == ECONNRESET); /* EAGAIN: it hangs */
		if (n <= 0)
			return false;
		at += n;
		len -= (size_t)n;
	}
	return true;
}

static struct request *
model_unanswered(struct model *m, uint32_t command, uint32_t seqnum)
{
	for (size_t i = 0; i < m->count; i++)
		if (m->requests[i].pdu.command == command &&
		    m->requests[i].pdu.seqnum == seqnum &&
		    !m->requests[i].answered)
			return &m->requests[i];
	return NULL;
}

static bool
receive_reply(struct model *m, int fd)
{
	uint8_t bytes[USBIP_PDU_SIZE];
	static uint8_t data[REPLY_DATA +
	    USBIP_ISO_PACKETS_MAX * USBIP_ISO_SIZE];
	struct usbip_pdu pdu;
	struct request *rq;
	int64_t follows = 0;

	if (!receive(fd, bytes, sizeof bytes))
		return false;
	MUST(usbip_pdu_decode(&pdu, bytes) == 0);
	MUST(pdu.command == USBIP_RET_SUBMIT ||
	    pdu.command == USBIP_RET_UNLINK);
	rq = model_unanswered(m, pdu.command - 2, pdu.seqnum);
	MUST(rq != NULL);
	rq->answered = true;
	if (pdu.command == USBIP_RET_SUBMIT) {
		follows = usbip_ret_submit_payload(&pdu,
		    rq->pdu.direction == 1, (uint32_t)rq->pdu.submit.length,
		    usbip_iso_count(rq->pdu.submit.packets));
		MUST(follows >= 0 && follows <= (int64_t)sizeof data);
		MUST(pdu.ret_submit.packets == rq->pdu.submit.packets);
	}
	return receive(fd, data, (size_t)follows);
}

static size_t
model_expected(const struct model *m)
{
	size_t n = 0;

	for (size_t i = 0; i < m->count; i++) {
		const struct request *rq = &m->requests[i];

		/* A held SUBMIT is answered by its UNLINK alone. */
		n += rq->pdu.command == USBIP_CMD_UNLINK ||
		    !is_held(rq->pdu.endpoint) ||
		    rq->pdu.endpoint > USBIP_ENDPOINT_MAX ||
		    rq->pdu.submit.length > USBIP_LENGTH_MAX;
	}
	return n;
}

/* The engine refuses a held one that is unsound with a reply of its own, so
 * the expected ones are a lower bound; the model checks each that comes. */
static void
import_and_compare(int fd, const uint8_t *bytes, size_t len)
{
	static struct model m;
	uint8_t reply[USBIP_REP_IMPORT_SIZE];
	struct reader r = reader_over(bytes, len);

	m.start = bytes;
	m.len = len;
	m.count = 0;
	m.held = 0;
	m.hung_up = false;
	while (m.count < REQUESTS_MAX && model_step(&m, &r))
		;
	m.replies = model_expected(&m);
	MUST(receive(fd, reply, sizeof reply));
	MUST(send(fd, bytes, m.len, MSG_NOSIGNAL) == (ssize_t)m.len ||
	    m.hung_up);
	for (size_t i = 0; i < m.replies; i++)
		if (!receive_reply(&m, fd)) {
			MUST(m.hung_up);
			return;
		}
	if (m.hung_up)
		while (receive_reply(&m, fd))
			;
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static const uint8_t import[USBIP_REQ_IMPORT_SIZE] =
	    "\x01\x11\x80\x03\0\0\0\0" "1-1";
	const struct timeval patience = { .tv_sec = PATIENCE_S };
	struct usbip_server *server;
	struct cause why;
	int pair[2];

	if (len > INPUT_MAX)
		return 0;
	server = start_server();
	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	setsockopt(pair[1], SOL_SOCKET, SO_RCVTIMEO, &patience,
	    sizeof patience);
	MUST(usbip_server_adopt(server, pair[0], NULL, NULL, &why) == 0);
	MUST(send(pair[1], import, sizeof import, MSG_NOSIGNAL) ==
	    sizeof import);
	import_and_compare(pair[1], bytes, len);
	close(pair[1]);
	usbip_server_free(server);
	MUST(device.held == NULL);
	return 0;
}
