/* The elevenlabs dialect: a voice in the path, a form with the sound. */
#include "recorded.h"

#define FORM(name, value) "--moongate-b1f7c2d94e8a46d0\r\nContent-Disposition: form-data; name=\"" name "\"\r\n\r\n" value "\r\n"

static const struct rig_case voices[] = {
	{ "the voice in the path, the key in its header", .request = "{\"model\":\"a/b\",\"input\":\"Hé!\",\"voice\":\"JBFqnCBsd6RMkjVDRZzb\",\"speed\":1.10}", .path = "/v1/text-to-speech/JBFqnCBsd6RMkjVDRZzb/stream?output_format=mp3_44100_128",
	  .body = "{\"text\":\"Hé!\",\"model_id\":\"m-1\",\"voice_settings\":{\"speed\":1.10}}", .sends = "xi-api-key: sk-rig", .headers = "content-type: audio/mpeg\n", .answer = "ID3.abc",
	  .events = "audio(audio/mpeg, 7 bytes) usage(characters=3)" },
	{ "its own settings, what it says it cost", .request = "{\"model\":\"a/b\",\"input\":\"x\",\"voice\":\"v\",\"response_format\":\"pcm\",\"voice_settings\":{\"stability\":0.5}}", .path = "/v1/text-to-speech/v/stream?output_format=pcm_24000",
	  .body = "{\"text\":\"x\",\"model_id\":\"m-1\",\"voice_settings\":{\"stability\":0.5}}", .headers = "character-cost: 12\n", .answer = "ab", .events = "audio(audio/mpeg, 2 bytes) usage(characters=12)" },
	{ "a voice that is none", .request = "{\"model\":\"a/b\",\"input\":\"x\",\"voice\":\"../x\"}", .events = "refused(voice: must be the id of a voice: letters and digits)" },
	{ "a voice with a NUL in it", .request = "{\"model\":\"a/b\",\"input\":\"x\",\"voice\":\"v\\u0000w\"}", .events = "refused(voice: must be the id of a voice: letters and digits)" },
	{ "a format that is none", .request = "{\"model\":\"a/b\",\"input\":\"x\",\"voice\":\"v\",\"response_format\":\"a&b\"}", .events = "refused(response_format: mp3, pcm, wav, opus, ulaw, or a name like mp3_44100_128)" },
	{ "no characters are left", .status = 401, .answer = "{\"detail\":{\"status\":\"quota_exceeded\",\"message\":\"no credits\"}}", .events = "error(quota, no credits, code quota_exceeded)" },
	{ "busy", .status = 429, .answer = "{\"detail\":{\"status\":\"system_busy\",\"message\":\"busy\"}}", .events = "error(overloaded, busy, code system_busy)" },
	{ "too many", .status = 429, .answer = "{\"detail\":{\"status\":\"too_many_concurrent_requests\",\"message\":\"many\"}}", .events = "error(rate_limited, many, code too_many_concurrent_requests)" },
	{ "a list of faults", .status = 422, .answer = "{\"detail\":[{\"loc\":[\"body\"],\"msg\":\"field required\",\"type\":\"missing\"}]}", .events = "error(bad_request, field required, final)" },
};

static const struct rig_case transcripts[] = {
	{ "a form with the sound itself", .request = "{\"model\":\"a/b\",\"input_audio\":{\"data\":\"UklGRg==\",\"format\":\"mp3\"},\"language\":\"en\",\"diarize\":true}", .path = "/v1/speech-to-text",
	  .sends = "Content-Type: multipart/form-data; boundary=moongate-b1f7c2d94e8a46d0\nxi-api-key: sk-rig",
	  .body = FORM("model_id", "m-1") FORM("language_code", "en") FORM("diarize", "true")
		"--moongate-b1f7c2d94e8a46d0\r\nContent-Disposition: form-data; name=\"file\"; filename=\"audio.mp3\"\r\nContent-Type: application/octet-stream\r\n\r\nRIFF\r\n--moongate-b1f7c2d94e8a46d0--\r\n",
	  .answer = "{\"language_code\":\"eng\",\"text\":\"Hi you\",\"words\":[{\"text\":\"Hi\",\"start\":0.1,\"end\":0.4,\"type\":\"word\",\"speaker_id\":\"s0\"},{\"text\":\" \",\"type\":\"spacing\",\"end\":0.5},{\"text\":\"you\",\"start\":0.5,\"end\":1.2,\"type\":\"word\"}]}",
	  .events = "start() text(Hi you) segment(, {\"language\":\"eng\",\"words\":[{\"word\":\"Hi\",\"start\":0.1,\"end\":0.4,\"speaker\":\"s0\"},{\"word\":\"you\",\"start\":0.5,\"end\":1.2}]}) usage(seconds=2)" },
	{ "whole seconds, and a last sound that does not say when it ended", .answer = "{\"text\":\"Hi\",\"words\":[{\"text\":\"Hi\",\"end\":12.0,\"type\":\"word\"},{\"text\":\"(laughs)\",\"type\":\"audio_event\",\"end\":null}]}",
	  .events = "start() text(Hi) segment(, {\"words\":[{\"word\":\"Hi\",\"end\":12.0}]}) usage(seconds=12)" },
	{ "a file name is ours", .request = "{\"model\":\"a/b\",\"input_audio\":{\"data\":\"UklGRg==\",\"format\":\"m\\\"p\"}}",
	  .body = FORM("model_id", "m-1") "--moongate-b1f7c2d94e8a46d0\r\nContent-Disposition: form-data; name=\"file\"; filename=\"audio.wav\"\r\nContent-Type: application/octet-stream\r\n\r\nRIFF\r\n--moongate-b1f7c2d94e8a46d0--\r\n" },
	{ "no sound", .request = "{\"model\":\"a/b\",\"input_audio\":{\"data\":\"\"}}", .events = "refused(input_audio.data: must be base64 of a sound)" },
};

static const struct rig_case lists[] = {
	{ "models", .path = "/v1/models", .answer = "[{\"model_id\":\"eleven_v3\"}]", .events = "model(eleven_v3, {\"model_id\":\"eleven_v3\"})" },
};

#define RUN(op, cases) rig_run(mg_plugin_entry(), op, cases, sizeof(cases) / sizeof((cases)[0]))

int main(void)
{
	static const struct recorded transcript = { "elevenlabs-transcription/elevenlabs-transcription", NULL, "text(Hello from the Vercel AI SDK.)|\"language\":\"eng\"|usage(seconds=3)" };
	int bad = 0;

	recorded_run(MG_TRANSCRIPTION, &transcript);
	bad |= RUN(MG_SPEECH, voices);
	bad |= RUN(MG_TRANSCRIPTION, transcripts);
	return bad | RUN(MG_MODELS, lists);
}
