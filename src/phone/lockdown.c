/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "phone/lockdown.h"

#include <string.h>

#include "phone/identity.h"
#include "phone/port.h"

/* Adds to `answer` what the request asks for. */
typedef void handler(const struct identity *id, plist_t request,
    plist_t answer);

const char *
lockdown_text(plist_t dict, const char *key)
{
	plist_t node = plist_dict_get_item(dict, key);

	return node != NULL && plist_get_node_type(node) == PLIST_STRING
	    ? plist_get_string_ptr(node, NULL)
	    : NULL;
}

static void
set_text(plist_t dict, const char *key, const char *text)
{
	plist_dict_set_item(dict, key, plist_new_string(text));
}

static void
set_error(plist_t answer, const char *error)
{
	set_text(answer, "Error", error);
}

/* What tells a phone from one that is being restored. */
static void
query_type(const struct identity *id, plist_t request, plist_t answer)
{
	(void)id;
	(void)request;
	set_text(answer, "Type", "com.apple.mobile.lockdown");
}

/* Domain and key stand in the answer too. */
static void
repeat_key(plist_t request, plist_t answer)
{
	const char *domain = lockdown_text(request, "Domain");
	const char *key = lockdown_text(request, "Key");

	if (domain != NULL)
		set_text(answer, "Domain", domain);
	if (key != NULL)
		set_text(answer, "Key", key);
}

static void
get_value(const struct identity *id, plist_t request, plist_t answer)
{
	plist_t value = lockdown_value(id, lockdown_text(request, "Domain"),
	    lockdown_text(request, "Key"));

	repeat_key(request, answer);
	if (value != NULL)
		plist_dict_set_item(answer, "Value", value);
	else
		set_error(answer, "MissingValue");
}

/* The one key that a host without a session may set is its own BUID. */
static void
set_value(const struct identity *id, plist_t request, plist_t answer)
{
	const char *key = lockdown_text(request, "Key");
	plist_t value = plist_dict_get_item(request, "Value");

	(void)id;
	repeat_key(request, answer);
	if (key == NULL)
		set_error(answer, "MissingKey");
	else if (value == NULL)
		set_error(answer, "MissingValue");
	else if (strcmp(key, "UntrustedHostBUID") != 0)
		set_error(answer, "SessionInactive");
	else
		plist_dict_set_item(answer, "Value", plist_copy(value));
}

/* What a host may do only when it is known and has said who it is. */
static void
need_session(const struct identity *id, plist_t request, plist_t answer)
{
	(void)id;
	repeat_key(request, answer);
	set_error(answer, "SessionInactive");
}

/* As if the user had been asked whether to trust this computer, and had said
 * no: the phone has no certificates to give. */
static void
pair(const struct identity *id, plist_t request, plist_t answer)
{
	(void)id;
	set_error(answer,
	    plist_dict_get_item(request, "PairRecord") == NULL
		? "MissingPairRecord"
		: "UserDeniedPairing");
}

/* No host has ever been paired, so no record is known. */
static void
unknown_host(const struct identity *id, plist_t request, plist_t answer)
{
	(void)id;
	set_error(answer,
	    plist_dict_get_item(request, "PairRecord") == NULL
		? "MissingPairRecord"
		: "InvalidHostID");
}

static void
start_session(const struct identity *id, plist_t request, plist_t answer)
{
	(void)id;
	set_error(answer,
	    lockdown_text(request, "HostID") == NULL ? "MissingHostID"
						     : "InvalidHostID");
}

static void
start_service(const struct identity *id, plist_t request, plist_t answer)
{
	static const struct {
		const char *name;
		uint16_t port;
	} services[] = {
		{ LOCKDOWN_SERVICE_ECHO, PORT_ECHO },
		{ LOCKDOWN_SERVICE_DISCARD, PORT_DISCARD },
		{ LOCKDOWN_SERVICE_CHARGEN, PORT_CHARGEN },
	};
	const char *name = lockdown_text(request, "Service");

	(void)id;
	if (name == NULL) {
		set_error(answer, "MissingService");
		return;
	}
	set_text(answer, "Service", name);
	for (size_t i = 0; i < sizeof services / sizeof services[0]; i++)
		if (strcmp(name, services[i].name) == 0) {
			plist_dict_set_item(answer, "Port",
			    plist_new_uint(services[i].port));
			return;
		}
	/* Apple's own need a session first; nobody else's are known at all. */
	set_error(answer,
	    strncmp(name, "com.apple.", 10) == 0 ? "SessionInactive"
						 : "InvalidService");
}

/* The host closes when it has read this. */
static void
goodbye(const struct identity *id, plist_t request, plist_t answer)
{
	(void)id;
	(void)request;
	set_text(answer, "Result", "Success");
}

static const struct {
	const char *request;
	handler *handle;
} handlers[] = {
	{ "QueryType", query_type },
	{ "GetValue", get_value },
	{ "SetValue", set_value },
	{ "RemoveValue", need_session },
	{ "Pair", pair },
	{ "ValidatePair", unknown_host },
	{ "Unpair", unknown_host },
	{ "StartSession", start_session },
	{ "StopSession", need_session },
	{ "StartService", start_service },
	{ "Activate", need_session },
	{ "Deactivate", need_session },
	{ "EnterRecovery", need_session },
	{ "Goodbye", goodbye },
};

plist_t
lockdown_answer(const struct identity *id, plist_t request)
{
	const char *name = lockdown_text(request, "Request");
	plist_t answer = plist_new_dict();

	if (answer == NULL)
		return NULL;
	if (name == NULL) {
		set_error(answer, "MissingRequest");
		return answer;
	}
	set_text(answer, "Request", name);
	for (size_t i = 0; i < sizeof handlers / sizeof handlers[0]; i++)
		if (strcmp(name, handlers[i].request) == 0) {
			handlers[i].handle(id, request, answer);
			return answer;
		}
	set_error(answer, "UnknownRequest");
	return answer;
}
