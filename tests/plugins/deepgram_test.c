/* The deepgram dialect: parameters in the query, the sound as the body. */
#include "rig.h"

#pragma GCC diagnostic ignored "-Wmissing-field-initializers"	/* rows end where nothing more is to say */

static const struct rig_case transcripts[] = {
	{ "the sound itself, the key with its own word", .request = "{\"model\":\"a/b\",\"input_audio\":{\"data\":\"UklGRg==\",\"format\":\"mp3\"},\"language\":\"en-GB\",\"diarize\":true,\"keyterm\":\"a&b é\"}",
	  .endpoint = "{\"model\":\"nova-3\",\"quirks\":{\"listen\":{\"smart_format\":true,\"language\":\"de\"}}}",
	  .path = "/v1/listen?model=nova-3&language=en-GB&diarize=true&keyterm=a%26b%20%C3%A9&smart_format=true", .body = "RIFF", .sends = "Content-Type: audio/mp3\nAuthorization: Token sk-rig",
	  .answer = "{\"metadata\":{\"request_id\":\"r\",\"duration\":6.2},\"results\":{\"channels\":[{\"detected_language\":\"en\",\"alternatives\":[{\"transcript\":\"Hi you\",\"words\":[{\"word\":\"hi\",\"punctuated_word\":\"Hi\",\"start\":0.1,\"end\":0.4,\"speaker\":0}]}]}]}}",
	  .events = "start(r) text(Hi you) segment(, {\"language\":\"en\",\"duration\":6.2,\"words\":[{\"word\":\"Hi\",\"start\":0.1,\"end\":0.4,\"speaker\":0}]}) usage(seconds=7)" },
	{ "a whole second is one", .answer = "{\"metadata\":{\"duration\":6.0},\"results\":{\"channels\":[{\"alternatives\":[{\"transcript\":\"\"}]}]}}",
	  .events = "start() text() segment(, {\"duration\":6.0,\"words\":[]}) usage(seconds=6)" },
	{ "no sound", .request = "{\"model\":\"a/b\",\"input_audio\":{}}", .events = "refused(input_audio.data: must be base64 of a sound)" },
	{ "no credit", .status = 402, .answer = "{\"err_code\":\"ASR_PAYMENT_REQUIRED\",\"err_msg\":\"pay\",\"request_id\":\"r\"}", .events = "error(quota, pay, code ASR_PAYMENT_REQUIRED)" },
	{ "too many", .status = 429, .answer = "{\"category\":\"TOO_MANY_REQUESTS\",\"message\":\"slow\"}", .events = "error(rate_limited, slow, code TOO_MANY_REQUESTS)" },
	{ "a bad request", .status = 400, .answer = "{\"err_code\":\"Bad Request\",\"err_msg\":\"corrupt\"}", .events = "error(bad_request, corrupt, code Bad Request, final)" },
};

static const struct rig_case voices[] = {
	{ "speech", .request = "{\"model\":\"a/b\",\"input\":\"Hé!\",\"voice\":\"x\"}", .endpoint = "{\"model\":\"aura-2-thalia-en\"}", .path = "/v1/speak?model=aura-2-thalia-en&encoding=mp3", .body = "{\"text\":\"Hé!\"}",
	  .headers = "content-type: audio/mpeg\n", .answer = "ID3.abc", .events = "audio(audio/mpeg, 7 bytes) usage(characters=3)" },
	{ "bare samples", .request = "{\"model\":\"a/b\",\"input\":\"x\",\"response_format\":\"pcm\"}", .path = "/v1/speak?model=m-1&encoding=linear16&container=none", .body = "{\"text\":\"x\"}" },
};

#define RUN(op, cases) rig_run(mg_plugin_entry(), op, cases, sizeof(cases) / sizeof((cases)[0]))

int main(void)
{
	int bad = RUN(MG_TRANSCRIPTION, transcripts);

	return bad | RUN(MG_SPEECH, voices);
}
