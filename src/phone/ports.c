/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "phone/port.h"

static const struct port *const ports[] = {
	&port_greet, &port_greet_joined, &port_echo, &port_discard,
	&port_burst, &port_chargen, &port_lockdown,
};

const struct port *
port_find(uint16_t number)
{
	for (size_t i = 0; i < sizeof ports / sizeof ports[0]; i++)
		if (ports[i]->number == number)
			return ports[i];
	return NULL;
}
