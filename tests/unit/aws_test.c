/* AWS's credentials: what the environment leads to, and what its services may answer. */
#include <stdlib.h>

#include "catalog/aws.h"
#include "tap.h"

static const char *const variables[] = { "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN",
	"AWS_ROLE_SESSION_NAME", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN",
	"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "AWS_EC2_METADATA_DISABLED", "AWS_EC2_METADATA_SERVICE_ENDPOINT", "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE",
	"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_STS", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE", "HOME" };

/* set: "NAME=value\n" a line; has: what the credential, or the reason why there is none, has in it. */
static const struct { const char *name, *aws, *region, *set, *has; } finds[] = {
	{ "ECS: the path at the container's own address", "{}", "eu-west-1", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/v2/x?id=1\nAWS_CONTAINER_AUTHORIZATION_TOKEN=t\n",
	  "\"chain\":[{\"from\":\"container\",\"url\":\"http://169.254.170.2/v2/x?id=1\",\"token\":\"t\"}]" },
	{ "EKS: the pod's identity", "{}", "eu-west-1", "AWS_CONTAINER_CREDENTIALS_FULL_URI=http://169.254.170.23/v1/credentials\nAWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=/var/t\n",
	  "\"url\":\"http://169.254.170.23/v1/credentials\",\"token_file\":\"/var/t\"" },
	{ "EKS over IPv6", "{}", "eu-west-1", "AWS_CONTAINER_CREDENTIALS_FULL_URI=http://[fd00:ec2::23]/v1/credentials\n", "http://[fd00:ec2::23]/v1/credentials" },
	{ "an address elsewhere by TLS", "{}", "eu-west-1", "AWS_CONTAINER_CREDENTIALS_FULL_URI=https://keys.example/x\n", "https://keys.example/x" },
	{ "not without it", "{}", "eu-west-1", "AWS_CONTAINER_CREDENTIALS_FULL_URI=http://keys.example/x\n", "_FULL_URI is neither https" },
	{ "the instance, and where STS is", "{}", "eu-west-1", "", "\"sts\":\"https://sts.eu-west-1.amazonaws.com/\",\"chain\":[{\"from\":\"instance\",\"url\":\"http://169.254.169.254\",\"last\":true}]" },
	{ "the instance over IPv6", "{}", "eu-west-1", "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE=IPv6\n", "http://[fd00:ec2::254]" },
	{ "STS in China", "{}", "cn-north-1", "", "https://sts.cn-north-1.amazonaws.com.cn/" },
	{ "STS elsewhere", "{}", "eu-west-1", "AWS_ENDPOINT_URL=https://all.example\nAWS_ENDPOINT_URL_STS=https://sts.example\n", "\"sts\":\"https://sts.example\"" },
	{ "what the row says comes before the environment", "{\"access_key_id\":\"A\",\"secret_access_key\":\"B\",\"role_arn\":\"r\"}", "eu-west-1", "AWS_ACCESS_KEY_ID=C\nAWS_SECRET_ACCESS_KEY=D\n",
	  "{\"from\":\"keys\",\"pair\":\"A:B\"},{\"from\":\"role\",\"role_arn\":\"r\",\"duration\":0}" },
	{ "half of the environment's pair is none", "{}", "eu-west-1", "AWS_ACCESS_KEY_ID=C\n", "\"from\":\"instance\"" },
	{ "a key with a colon", "{}", "eu-west-1", "AWS_ACCESS_KEY_ID=C:x\nAWS_SECRET_ACCESS_KEY=D\n", "no ':'" },
	{ "a profile that is named must be there", "{}", "eu-west-1", "AWS_PROFILE=x\nAWS_CONFIG_FILE=/nowhere/c\nAWS_SHARED_CREDENTIALS_FILE=/nowhere/s\n", "profile 'x' is neither in /nowhere/s nor in /nowhere/c" },
};

static void set(const char *text)
{
	char line[512];

	for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
		unsetenv(variables[i]);
	for (size_t len; *text; text += len + 1) {
		len = strcspn(text, "\n");
		snprintf(line, sizeof(line), "%.*s", (int)len, text);
		line[strcspn(line, "=")] = '\0';
		setenv(line, line + strlen(line) + 1, 1);
	}
}

static void found(void)
{
	for (size_t i = 0; i < sizeof(finds) / sizeof(finds[0]); i++) {
		json_t *aws = json_loads(finds[i].aws, 0, NULL), *c;
		struct err err = { MG_OK, "" };
		char *text;

		set(finds[i].set);
		c = aws_find(aws, finds[i].region, &err);
		text = c ? json_dumps(c, JSON_COMPACT) : strdup(err.msg);
		ok(strstr(text, finds[i].has) && (!c || aws_check(c, &err) == MG_OK), finds[i].name);
		if (!strstr(text, finds[i].has))
			printf("# %s\n", text);
		free(text);
		json_decref(c);
		json_decref(aws);
	}
}

#define CHAIN(link) "{\"type\":\"aws\",\"region\":\"eu-west-1\",\"sts\":\"https://sts/\",\"chain\":[" link "]}"
#define ROLE CHAIN("{\"from\":\"keys\",\"pair\":\"A:B\"},{\"from\":\"role\",\"role_arn\":\"r\"}")
#define TASK CHAIN("{\"from\":\"container\",\"url\":\"http://127.0.0.1/\"}")
#define MACHINE CHAIN("{\"from\":\"instance\",\"url\":\"http://127.0.0.1\"}")
#define GIVEN "\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"B\",\"Token\":\"C\""
#define NOW 1000000000	/* 2001-09-09T01:46:40Z */

/* answer: what the last exchange gave, behind n good steps; gives: the value and its life, or why there is none. */
static const struct { const char *name, *credential; int steps, status; const char *answer, *gives; } answers[] = {
	{ "XML", ROLE, 0, 200, "<R><Credentials><AccessKeyId>I</AccessKeyId><SecretAccessKey>K+/=</SecretAccessKey><SessionToken>T:/</SessionToken><Expiration>2001-09-09T02:46:40Z</Expiration></Credentials></R>", "I:K+/=:T:/ 3600" },
	{ "XML cut short", ROLE, 0, 200, "<R><AccessKeyId>I</AccessKeyId><SecretAccessKey>K", "STS answered 200, an answer without a token" },
	{ "XML of an error", ROLE, 0, 400, "<E><Error><Code>ExpiredTokenException</Code><Message>no</Message></Error></E>", "STS answered 400, ExpiredTokenException" },
	{ "a code that is more than a word", ROLE, 0, 400, "<E><Code>no: A B</Code></E>", "STS answered 400, no word why" },
	{ "nothing", ROLE, 0, 500, "", "STS answered 500, no word why" },
	{ "an end that is over", ROLE, 0, 200, "<R><AccessKeyId>I</AccessKeyId><SecretAccessKey>K</SecretAccessKey><Expiration>2001-09-09T01:46:40Z</Expiration></R>", "credentials that are over" },
	{ "an end that is none", ROLE, 0, 200, "<R><AccessKeyId>I</AccessKeyId><SecretAccessKey>K</SecretAccessKey><Expiration>soon</Expiration></R>", "whose end is no time" },
	{ "a line break in a key", ROLE, 0, 200, "<R><AccessKeyId>I</AccessKeyId><SecretAccessKey>K\r\nx: y</SecretAccessKey></R>", "an answer without a token" },
	{ "a container's, with parts of a second", TASK, 0, 200, "{" GIVEN ",\"Expiration\":\"2001-09-09T01:56:40.123Z\"}", "A:B:C 600" },
	{ "a container's without an end", TASK, 0, 200, "{" GIVEN "}", "A:B:C 900" },
	{ "a container's no", TASK, 0, 403, "{\"code\":\"AccessDenied\",\"message\":\"x\"}", "the container's credentials answered 403, AccessDenied" },
	{ "JSON that is none", TASK, 0, 200, "{\"AccessKeyId\":", "an answer without a token" },
	{ "numbers for words", TASK, 0, 200, "{\"AccessKeyId\":1,\"SecretAccessKey\":2}", "an answer without a token" },
	{ "an end years away is a day", TASK, 0, 200, "{" GIVEN ",\"Expiration\":\"2031-09-09T01:56:40Z\"}", "A:B:C 86400" },
	{ "an instance", MACHINE, 2, 200, "{\"Code\":\"Success\"," GIVEN ",\"Expiration\":\"2001-09-09T02:46:40Z\"}", "A:B:C 3600" },
	{ "an instance whose role is not ready", MACHINE, 2, 200, "{\"Code\":\"AssumeRoleUnauthorizedAccess\"}", "metadata answered 200, AssumeRoleUnauthorizedAccess" },
	{ "an instance without a session", MACHINE, 0, 403, "", "metadata answered 403, no word why" },
	{ "a session that is no header", MACHINE, 0, 200, "a b", "metadata answered 200" },
	{ "an instance without a role", MACHINE, 1, 404, "", "the instance has no role" },
	{ "a role that is a path", MACHINE, 1, 200, "../x", "role has no name" },
};

static void given(void)
{
	static const char *const steps[] = { "session", "role" };

	set("");
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		json_t *c = json_loads(answers[i].credential, 0, NULL);
		struct pool *p = pool_new(1 << 20);
		struct err err = { MG_OK, "" };
		struct grant g;
		char said[256];
		int rc = grant_begin(p, c, "", NOW, &g, &err);

		for (int k = 0; !rc && k < answers[i].steps; k++)
			rc = grant_answered(p, c, NOW, 200, (struct mg_str){ steps[k], strlen(steps[k]) }, &g, &err);
		if (!rc)
			rc = grant_answered(p, c, NOW, answers[i].status, (struct mg_str){ answers[i].answer, strlen(answers[i].answer) }, &g, &err);
		if (rc || !g.value.at)
			snprintf(said, sizeof(said), "%s", err.msg);
		else
			snprintf(said, sizeof(said), "%s %llu", g.value.at, (unsigned long long)g.life_s);
		ok(rc ? strstr(said, answers[i].gives) != NULL : !strcmp(said, answers[i].gives), answers[i].name);
		if (!strstr(said, answers[i].gives))
			printf("# %s\n", said);
		pool_free(p);
		json_decref(c);
	}
}

int main(void)
{
	found();
	given();
	return tap_done();
}
