/* A decision as it is kept, and told in full. */
#include "policy/world.h"
#include "tap.h"

static const struct mg_store_endpoint known[] = {
	{ sizeof(known[0]), "00000000000000aa", "{\"id\":\"a/b@x\",\"model\":\"a/b\",\"provider\":\"x\",\"tag\":\"x\",\"rates\":{\"prompt\":1,\"completion\":2}}" },
	{ sizeof(known[0]), "00000000000000ab", "{\"id\":\"a/b@y\",\"model\":\"a/b\",\"provider\":\"y\",\"tag\":\"y/fp8\",\"rates\":{\"prompt\":3,\"completion\":4}}" },
};

static int known_each(void *handle, enum mg_store_row kind, const char *where, int64_t since_ms, size_t limit,
	bool (*fn)(void *arg, const void *row), void *arg, char why[256])
{
	for (size_t i = 0; kind == MG_ROW_ENDPOINT && i < sizeof(known) / sizeof(known[0]); i++)
		if (!where || !strcmp(where, known[i].hash))
			fn(arg, &known[i]);
	return MG_OK;
}

static const struct mg_store known_store = { .size = sizeof(known_store), .each = known_each };

static const struct { const char *what, *kept, *told; } cases[] = {
	{ "what goes without saying is said",
	  "{\"seed\":7,\"api\":\"chat\",\"model\":\"a/b\",\"feat\":[45,64],\"candidates\":[],"
	  "\"bundle\":\"0c3c6d5cbf5e423d\",\"spent\":[224,9]}",
	  "{\"id\":\"gen-1\",\"at_ms\":5,\"seed\":7,\"api\":\"chat\",\"bundle\":\"0c3c6d5cbf5e423d\",\"model\":\"a/b\",\"models\":[\"a/b\"],"
	  "\"key\":{\"id\":\"thekey\",\"org\":\"\",\"workspace\":\"\"},\"params\":[],\"prefs\":{\"allow_fallbacks\":true,\"require_parameters\":false,"
	  "\"data_collection\":\"allow\",\"zdr\":false,\"distillable\":false,\"partition\":\"model\"},\"prompt_tokens\":45,\"max_tokens\":64,"
	  "\"candidates\":[],\"order\":[],\"plan\":{},\"keep\":{\"store\":\"metadata\",\"ttl_s\":2592000,\"cache\":false},\"notes\":[],"
	  "\"policy_error\":false,\"errors\":0,\"fuel\":224,\"lua_us\":9}" },
	{ "prices of a time when there were four", "{\"seed\":7,\"api\":\"chat\",\"model\":\"a/b\",\"prefs\":{\"max_price\":[null,null,null,2],\"zdr\":true},\"feat\":[45,64],\"candidates\":[],"
	  "\"bundle\":\"0c\",\"spent\":[224,9]}",
	  "{\"id\":\"gen-1\",\"at_ms\":5,\"seed\":7,\"api\":\"chat\",\"bundle\":\"0c\",\"model\":\"a/b\",\"models\":[\"a/b\"],"
	  "\"key\":{\"id\":\"thekey\",\"org\":\"\",\"workspace\":\"\"},\"params\":[],\"prefs\":{\"allow_fallbacks\":true,\"require_parameters\":false,"
	  "\"data_collection\":\"allow\",\"zdr\":true,\"distillable\":false,\"partition\":\"model\",\"max_image\":2},\"prompt_tokens\":45,\"max_tokens\":64,"
	  "\"candidates\":[],\"order\":[],\"plan\":{},\"keep\":{\"store\":\"metadata\",\"ttl_s\":2592000,\"cache\":false},\"notes\":[],"
	  "\"policy_error\":false,\"errors\":0,\"fuel\":224,\"lua_us\":9}" },
	{ "and what was said stays", "{\"seed\":7,\"api\":\"chat\",\"stream\":true,\"model\":\"x\",\"variant\":\"floor\",\"session\":\"s\",\"data_class\":\"pii\","
	  "\"labels\":[\"team\",\"a\"],\"params\":[\"n\"],\"models\":[\"a/b\",\"c\\\"d\"],\"prefs\":{\"only\":[\"azure\"],\"allow_fallbacks\":false,\"data_collection\":true,"
	  "\"zdr\":true,\"sort_by\":\"price\",\"partition\":\"none\",\"max_price\":[0.25,null,null,null,0.5],\"max_latency_s\":[null,null,1.5,null]},"
	  "\"key\":{\"org\":\"o\",\"workspace\":\"w\",\"credits_bought_nusd\":5},\"feat\":[1,2],\"asked\":{\"models\":[\"x\"]},"
	  "\"candidates\":[],\"plan\":{\"max_attempts\":2,\"sticky_key\":0},\"keep\":[\"none\",0,true,[\"log\"]],\"strategy\":\"auto\",\"denied\":[\"admit\",429,\"slow\",\"p.lua:3\"],\"policy_error\":true,"
	  "\"notes\":[[\"rank\",\"or_ranking\",\"slow\"]],\"reads\":[[\"counter.get\",[\"n\",\"k\"],[7]]],\"errors\":3,\"bundle\":\"0c\",\"spent\":[1,2]}",
	  "{\"id\":\"gen-1\",\"at_ms\":5,\"seed\":7,\"api\":\"chat\",\"bundle\":\"0c\",\"stream\":true,\"model\":\"x\",\"variant\":\"floor\",\"asked_models\":[\"x\"],"
	  "\"models\":[\"a/b\",\"c\\\"d\"],\"key\":{\"id\":\"thekey\",\"org\":\"o\",\"workspace\":\"w\",\"credits_bought_nusd\":5},\"session\":\"s\",\"data_class\":\"pii\","
	  "\"labels\":{\"team\":\"a\"},\"params\":[\"n\"],\"prefs\":{\"allow_fallbacks\":false,"
	  "\"require_parameters\":false,\"data_collection\":\"deny\",\"zdr\":true,\"distillable\":false,\"partition\":\"none\",\"only\":[\"azure\"],"
	  "\"sort_by\":\"price\",\"max_prompt\":0.25,\"max_audio\":0.5,\"max_latency_p90_s\":1.5},\"prompt_tokens\":1,\"max_tokens\":2,\"candidates\":[],\"order\":[],\"strategy\":\"auto\","
	  "\"denied\":{\"hook\":\"admit\",\"status\":429,\"code\":\"slow\",\"by\":\"p.lua:3\"},\"plan\":{\"max_attempts\":2,\"sticky_key\":\"s\"},"
	  "\"keep\":{\"store\":\"none\",\"ttl_s\":0,\"cache\":true,\"sinks\":[\"log\"]},\"notes\":[{\"hook\":\"rank\",\"by\":\"or_ranking\",\"text\":\"slow\"}],"
	  "\"reads\":[{\"function\":\"counter.get\",\"asked\":[\"n\",\"k\"],\"said\":[7]}],\"policy_error\":true,\"errors\":3,\"fuel\":1,\"lua_us\":2}" },
};

/* Only the part behind "candidates". */
static const struct { const char *what, *kept, *told; } lists[] = {
	{ "candidates by what is kept of them", "[[\"00000000000000aa\",2],[\"00000000000000ab\",1,[0,12,420,0,0,0,0,0,0,0,61.5]]]",
	  "[{\"endpoint\":\"a/b@x\",\"model\":\"a/b\",\"provider\":\"x\",\"tag\":\"x\",\"prompt_pusd\":1,\"completion_pusd\":2,\"rank\":2,\"samples\":0,"
	  "\"ttft_p50_ms\":0,\"throughput_p50_tps\":0},{\"endpoint\":\"a/b@y\",\"model\":\"a/b\",\"provider\":\"y\",\"tag\":\"y/fp8\",\"prompt_pusd\":3,"
	  "\"completion_pusd\":4,\"rank\":1,\"samples\":12,\"ttft_p50_ms\":420,\"throughput_p50_tps\":61.5}],\"order\":[\"a/b@y\",\"a/b@x\"]" },
	{ "what became of them, and one that is not kept", "[[\"00000000000000aa\",0,{\"dropped\":\"zdr\",\"by\":\"p.lua:3\",\"cooldown_ms\":9}],"
	  "[\"00000000000000ff\",1,[3,1,2,0,0,0,0,0,0,0,0,0,0,0,0.5]]]",
	  "[{\"endpoint\":\"a/b@x\",\"model\":\"a/b\",\"provider\":\"x\",\"tag\":\"x\",\"prompt_pusd\":1,\"completion_pusd\":2,\"rank\":0,\"samples\":0,"
	  "\"ttft_p50_ms\":0,\"throughput_p50_tps\":0,\"dropped\":\"zdr\",\"by\":\"p.lua:3\",\"cooldown_ms\":9},"
	  "{\"endpoint\":\"00000000000000ff\",\"rank\":1,\"samples\":1,\"ttft_p50_ms\":2,\"throughput_p50_tps\":0,\"error_rate\":0.5,\"inflight\":3}],"
	  "\"order\":[\"00000000000000ff\"]" },
};

static char *recalled(const char *kept, int *rc)
{
	struct mg_store_decision row = { sizeof(row), "gen-1", 5, kept, "thekey", 0 };
	struct err err = { 0 };
	struct buf out;

	buf_init(&out, 1 << 20);
	*rc = decision_recall(&known_store, NULL, &row, NULL, &out, &err);
	buf_put(&out, "", 1);
	return out.at;
}

static void test_texts(void)
{
	static const char *const bad[] = { "", "[", "{\"candidates\":[1]}", "{\"candidates\":[[1,2]]}" };
	char *told;
	int rc;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		told = recalled(cases[i].kept, &rc);
		ok(!rc && !strcmp(told, cases[i].told), cases[i].what);
		if (rc || strcmp(told, cases[i].told))
			printf("# %s\n", told);
		free(told);
	}
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		char kept[1024];

		snprintf(kept, sizeof(kept), "{\"candidates\":%s}", lists[i].kept);
		told = recalled(kept, &rc);
		ok(!rc && strstr(told, lists[i].told), lists[i].what);
		if (rc || !strstr(told, lists[i].told))
			printf("# %s\n", told);
		free(told);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		told = recalled(bad[i], &rc);
		ok(rc == MG_EINVAL, "what is no such record is refused; it is no damage of the store, MG_EPROTO");
		free(told);
	}
}

/* The other way: what a decision wrote is what recall tells of it. */
static void test_both(void)
{
	static const char *const texts[] = { "endpoint", "model", "provider", "tag" };
	struct world w;
	struct denial no;
	bool same = true;
	json_t *all, *list, *c;

	world_init(&w);
	for (int i = 0; i < 6; i++) {
		static char names[6][4];

		snprintf(names[i], sizeof(names[0]), "p%d", i);
		world_endpoint(&w, i / 4, names[i], 1 + i % 3, 2);
	}
	if (!world_open(&w, NULL)) {
		printf("# %s\n", w.err.msg);
		abort();
	}
	world_ask(&w);
	policy_admit(w.state, &w.d, &no);
	policy_resolve(w.state, &w.d, &no);
	ok(world_route(&w, &no) && w.d.n_order > 1, "a decision");
	policy_plan(w.state, &w.d);
	for (int round = 0; round < 3; round++) {	/* the first prints, the second has it printed, the third has another order */
		struct candidate *first = w.d.order[0];

		if (round == 2) {
			w.d.order[0] = w.d.order[1];
			w.d.order[1] = first;
		}
		all = world_recall(&w, &w.d);
		list = json_object_get(all, "candidates");
		same &= json_array_size(list) == w.d.n && json_array_size(json_object_get(all, "order")) == w.d.n_order;
		for (size_t i = 0; same && i < w.d.n; i++) {
			const struct candidate *was = &w.d.candidates[i];
			const char *said[] = { was->endpoint->id, was->endpoint->model->slug, was->endpoint->provider->slug, was->endpoint->tag };

			c = json_array_get(list, i);
			for (int n = 0; n < 4; n++)
				same &= !strcmp(json_string_value(json_object_get(c, texts[n])), said[n]);
			same &= json_integer_value(json_object_get(c, "rank")) == was->rank &&
				json_integer_value(json_object_get(c, "samples")) == (json_int_t)was->live.samples;
		}
		for (size_t i = 0; same && i < w.d.n_order; i++)
			same &= !strcmp(json_string_value(json_array_get(json_object_get(all, "order"), i)), w.d.order[i]->endpoint->id);
		json_decref(all);
	}
	ok(same, "each candidate as it was, and the order");
	world_release(&w);
}

int main(void)
{
	test_texts();
	test_both();
	return tap_done();
}
