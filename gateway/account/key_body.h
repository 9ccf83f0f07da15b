/*
 * key_body.h - what a body of the management API says of a key.
 *
 * To make one its name is required; to change one, what is there is changed, and what stays is
 * not said otherwise.  MG_EINVAL names the member (400).
 */
#ifndef ACCOUNT_KEY_BODY_H
#define ACCOUNT_KEY_BODY_H

#include "account/account.h"
#include "base/json.h"

extern const char *const reset_names[WINDOWS];	/* "daily"; NULL: in total */
int key_body_read(struct mg_view body, struct key_facts *k, bool creating, struct err *err);

#endif
