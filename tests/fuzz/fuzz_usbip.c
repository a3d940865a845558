/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fuzz.h"

#include <string.h>

#include "base/cursor.h"
#include "wire/usbip.h"

/* What comes over a USB/IP connection, from either side: an operation, then
 * PDUs with what follows them. */

static void
read_pdus(struct reader *r, uint32_t length, uint32_t packets)
{
	const uint8_t *bytes;

	while ((bytes = read_bytes(r, USBIP_PDU_SIZE)) != NULL) {
		uint8_t again[USBIP_PDU_SIZE];
		struct usbip_pdu pdu;
		int64_t follows = 0;

		if (usbip_pdu_decode(&pdu, bytes) < 0)
			return;
		usbip_pdu_encode(again, &pdu);
		if (pdu.command == USBIP_CMD_SUBMIT)
			follows = usbip_submit_payload(&pdu);
		else if (pdu.command == USBIP_RET_SUBMIT)
			follows = usbip_ret_submit_payload(&pdu, true, length,
			    packets);
		MUST(follows >= -1);
		MUST(pdu.command != USBIP_RET_SUBMIT ||
		    follows <= (int64_t)length + packets * USBIP_ISO_SIZE);
		if (follows < 0 || read_bytes(r, (size_t)follows) == NULL)
			return;
	}
}

static void
read_devices(struct reader *r, uint32_t count)
{
	const uint8_t *bytes;

	while (count-- > 0 &&
	    (bytes = read_bytes(r, USBIP_DEVICE_SIZE)) != NULL) {
		struct usbip_device_entry dev;
		uint8_t again[USBIP_DEVICE_SIZE];

		usbip_device_decode(&dev, bytes);
		MUST(memchr(dev.path, '\0', sizeof dev.path) != NULL);
		MUST(memchr(dev.busid, '\0', sizeof dev.busid) != NULL);
		usbip_device_encode(again, &dev);
		for (unsigned i = 0; i < dev.interface_count; i++) {
			struct usbip_interface intf;

			bytes = read_bytes(r, USBIP_INTERFACE_SIZE);
			if (bytes == NULL)
				return;
			usbip_interface_decode(&intf, bytes);
		}
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct reader r = reader_over(bytes, len);
	const uint8_t *head = read_bytes(&r, USBIP_OP_SIZE);
	struct usbip_op op;

	if (head == NULL)
		return 0;
	usbip_op_decode(&op, head);
	MUST(usbip_status_text(op.status) != NULL);
	if (op.code == USBIP_REP_DEVLIST)
		read_devices(&r, read_be32(&r) % (USBIP_DEVLIST_MAX + 1));
	if (op.code == USBIP_REP_IMPORT || op.code == USBIP_REP_DEVINFO)
		read_devices(&r, 1);
	if (op.code == USBIP_REQ_IMPORT || op.code == USBIP_REQ_DEVINFO) {
		char busid[USBIP_BUSID_SIZE + 1];
		const uint8_t *text = read_bytes(&r, USBIP_BUSID_SIZE);

		if (text == NULL)
			return 0;
		usbip_busid_decode(busid, text);
		MUST(strlen(busid) <= USBIP_BUSID_SIZE);
	}
	read_pdus(&r, op.status & 0xffff, op.version & 0xff);
	return 0;
}
