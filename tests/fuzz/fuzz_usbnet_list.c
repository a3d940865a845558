/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "usbnet/bus_list.h"
#include "usbnet/endpoints.h"

/* What the drop-in libusb makes of lists of devices, whose pieces may come in
 * any size (the first byte tells), and of configurations. */

static void
take_lists(const uint8_t *bytes, size_t len, size_t step)
{
	struct un_list l = { 0 };
	struct cause why;

	un_list_begin(&l);
	while (len > 0) {
		const size_t n = step < len ? step : len;
		size_t used;
		const int rc = un_list_take(&l, bytes, n, &used, &why);

		MUST(used <= n && (used == n || rc != 0));
		MUST(l.count <= l.total && l.total <= USBIP_DEVLIST_MAX);
		if (rc < 0)
			break;
		if (rc > 0) {
			MUST(l.count == l.total);
			un_list_begin(&l);
		}
		bytes += used;
		len -= used;
	}
	un_list_fini(&l);
}

static void
read_configuration(const uint8_t *bytes, size_t len, uint8_t alt)
{
	struct un_endpoint out[UN_ENDPOINTS_MAX];
	uint8_t alts[UN_INTERFACES_MAX];

	memset(alts, alt, sizeof alts);
	un_endpoints_read(out, alts, alt % 2 == 0, bytes, len);
	for (int i = 0; i < UN_ENDPOINTS_MAX; i++)
		MUST(out[i].interval >= 0 && out[i].interval <= 1 << 15);
	un_has_interface(bytes, len, alt);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	if (len == 0)
		return 0;
	take_lists(bytes + 1, len - 1, 1 + bytes[0]);
	read_configuration(bytes + 1, len - 1, bytes[0] % 4);
	return 0;
}
