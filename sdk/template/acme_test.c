/* A dialect needs no server: the rig plays host, and cuts each answer at every
 * byte in turn; what was emitted must be the same each time. */
#include "rig.h"

static const struct rig_case cases[] = {
	{ "deltas, then tokens",
	  .path = "/v1/acme", .sends = "Authorization: Bearer sk-rig",
	  .body = "{\"model\":\"m-1\",\"max\":90,\"turns\":[{\"who\":\"user\",\"say\":\"Hi\"}]}",
	  .answer = "{\"say\":\"Hel\"}\n{\"say\":\"lo\"}\n{\"end\":\"done\",\"read\":3,\"wrote\":2}\n",
	  .events = "text(Hello) usage(input=3 output=2) finish(stop, done)" },
	{ "the limit was reached", .streamed = true, .answer = "{\"end\":\"full\",\"read\":3,\"wrote\":90}\n",
	  .events = "usage(input=3 output=90) finish(length, full)" },
	{ "no closing line", .answer = "{\"say\":\"Hi\"}\n",
	  .events = "text(Hi) error(upstream, the answer ended without a finish reason)" },
	{ "another kind of line", .answer = "{\"sing\":\"la\"}\n",
	  .events = "error(upstream, a line with neither 'say' nor 'end')" },
	{ "their limit", .status = 429, .answer = "{\"why\":\"resting\",\"wait_ms\":200}",
	  .events = "error(rate_limited, resting, retry after 200 ms)" },
	{ "a proxy's page", .status = 502, .answer = "<html>Bad Gateway</html>", .events = "error(server)" },
	{ "no pictures", .request = "{\"messages\":[{\"role\":\"user\",\"content\":[]}]}",
	  .events = "refused(messages[].content: acme takes text only)" },
};

int main(void)
{
	return rig_run(mg_plugin_entry(), MG_CHAT, cases, sizeof(cases) / sizeof(cases[0]));
}
