/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fuzz.h"

#include <string.h>

#include "wire/usbip.h"

/* The records of DEVINFO: what can be read is written again as it was. */

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct reader r = reader_over(bytes, len);
	struct usbip_info_record record;
	uint8_t *again = malloc(len + 1);
	struct writer w = writer_over(again, len);
	size_t whole = 0;

	MUST(again != NULL);
	while (usbip_info_next(&r, &record)) {
		MUST(record.bytes >= bytes &&
		    record.length <= (size_t)(bytes + len - record.bytes));
		MUST(usbip_info_add(&w, &record));
		whole += USBIP_INFO_RECORD_SIZE + record.length;
	}
	MUST(!usbip_info_next(&r, &record));
	MUST(writer_used(&w) == whole && whole <= len);
	MUST(whole == 0 || memcmp(again, bytes, whole) == 0);
	/* What is left has no room for one more than it could hold. */
	record.length = (uint32_t)(len - whole);
	record.bytes = bytes;
	MUST(!usbip_info_add(&w, &record));
	free(again);
	return 0;
}
