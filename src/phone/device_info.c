/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What can be known of a device without importing it: records for DEVINFO. */
#include "base/cursor.h"
#include "phone/device.h"

static void
add(struct writer *w, const struct device *d, enum desc_type type,
    unsigned index, uint16_t langid)
{
	uint8_t bytes[DESC_LEN_MAX];
	const struct usbip_info_record record = {
		.type = (uint8_t)type,
		.index = (uint8_t)index,
		.langid = langid,
		.length = (uint32_t)desc_get(&d->profile,
		    (uint16_t)(type << 8 | index), langid, bytes),
		.bytes = bytes,
	};

	if (record.length > 0)
		usbip_info_add(w, &record);
}

size_t
device_info(const struct device *d, uint8_t out[DEVICE_INFO_MAX])
{
	const struct desc_device *desc = d->profile.device;
	struct writer w = writer_over(out, DEVICE_INFO_MAX);

	add(&w, d, DESC_DEVICE, 0, 0);
	for (unsigned i = 0; i < desc->configuration_count; i++)
		add(&w, d, DESC_CONFIGURATION, i, 0);
	add(&w, d, DESC_STRING, DESC_S_LANGUAGES, 0);
	add(&w, d, DESC_STRING, DESC_S_SERIAL, DESC_LANGUAGE);
	for (unsigned i = DESC_S_MANUFACTURER; i < desc->text_count; i++)
		if (i != DESC_S_SERIAL)
			add(&w, d, DESC_STRING, i, DESC_LANGUAGE);
	add(&w, d, DESC_BOS, 0, 0);
	return writer_used(&w);
}
