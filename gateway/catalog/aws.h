/*
 * aws.h - AWS's credentials, as a company really has them: where they come
 * from, in the order that AWS documents, and the exchanges that get those
 * which end (STS, a container's, an instance's).
 *
 * A credential is {"type":"aws","region","sts","chain":[link...]}.  The first link
 * is a source, each other a role that is assumed with what came before it:
 *
 *	{"from":"keys","pair":"id:key:session token"}
 *	{"from":"web_identity","file","role_arn","session_name","duration"}
 *	{"from":"container","url","token_file" | "token"}
 *	{"from":"instance","url"}
 *	{"from":"role","role_arn","session_name","external_id","duration"}
 */
#ifndef CATALOG_AWS_H
#define CATALOG_AWS_H

#include "catalog/grant.h"

/* Of a row's aws, the environment and the shared files.  NULL: err says what is missing, without a secret. */
json_t *aws_find(const json_t *aws, const char *region, struct err *err);
/* The pair, where nothing is to be asked for it; else NULL. */
const char *aws_pair(const json_t *credential);
/* "web_identity + role": what the credential is, for people; "keys": nothing of it ends. */
void aws_about(const json_t *credential, char *out, size_t size);

/* For grant.c. */
int aws_check(const json_t *credential, struct err *err);
int aws_begin(struct pool *p, const json_t *credential, time_t now, struct grant *g, struct err *err);
int aws_answered(struct pool *p, const json_t *credential, time_t now, int status, struct mg_str answer, struct grant *g, struct err *err);

#endif
