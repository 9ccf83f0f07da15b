/* openai_media.h - openai's operations beside chat: what goes out, what comes back. */
#ifndef OPENAI_MEDIA_TEST_H
#define OPENAI_MEDIA_TEST_H

#include "rig.h"

#define JINA "{\"model\":\"m-1\",\"quirks\":{\"input_type\":{\"name\":\"task\",\"search_query\":\"retrieval.query\",\"search_document\":\"retrieval.passage\"}}}"
#define VOYAGE "{\"model\":\"m-1\",\"quirks\":{\"top_n\":\"top_k\",\"set\":{\"truncation\":true}}}"
#define FORM(name, value) "--moongate-b1f7c2d94e8a46d0\r\nContent-Disposition: form-data; name=\"" name "\"\r\n\r\n" value "\r\n"

static const struct rig_case typed[] = {
	{ "what a text is for, in the provider's words", .request = "{\"model\":\"a/b\",\"input\":\"x\",\"input_type\":\"query\"}", .endpoint = JINA,
	  .body = "{\"model\":\"m-1\",\"input\":\"x\",\"task\":\"retrieval.query\"}" },
	{ "a use that it has no word for is not said", .request = "{\"model\":\"a/b\",\"input\":\"x\",\"input_type\":\"clustering\"}", .endpoint = JINA, .body = "{\"model\":\"m-1\",\"input\":\"x\"}" },
};

static const struct rig_case reranks[] = {
	{ "documents, as most have it", .request = "{\"model\":\"a/b\",\"query\":\"q\",\"documents\":[\"x\",{\"text\":\"y\"},{\"text\":\"z\",\"image\":\"i\"}],\"top_n\":2,\"provider\":{}}", .path = "/rerank",
	  .body = "{\"model\":\"m-1\",\"query\":\"q\",\"documents\":[\"x\",\"y\",{\"text\":\"z\",\"image\":\"i\"}],\"top_n\":2}",
	  .answer = "{\"model\":\"r\",\"results\":[{\"index\":1,\"relevance_score\":0.9},{\"index\":0,\"relevance_score\":1e-3}],\"usage\":{\"total_tokens\":9}}",
	  .events = "start(, r) score(1, 0.9) score(0, 1e-3) usage(input=9)" },
	{ "Voyage: top_k, data[]", .request = "{\"model\":\"a/b\",\"query\":\"q\",\"documents\":[\"x\"],\"top_n\":1}", .endpoint = VOYAGE,
	  .body = "{\"model\":\"m-1\",\"query\":\"q\",\"documents\":[\"x\"],\"top_k\":1,\"truncation\":true}",
	  .answer = "{\"object\":\"list\",\"data\":[{\"relevance_score\":0.74,\"index\":3}],\"model\":\"r\",\"usage\":{\"total_tokens\":57}}", .events = "start(, r) score(3, 0.74) usage(input=57)" },
	{ "a bare list, scores by another name", .answer = "[{\"index\":0,\"score\":0.5}]", .events = "start() score(0, 0.5)" },
	{ "an answer that is none", .answer = "{}", .events = "error(upstream, an answer without results[])" },
};

static const struct rig_case pictures[] = {
	{ "a picture, as bytes", .request = "{\"model\":\"a/b\",\"prompt\":\"a moon\",\"size\":\"1024x1024\",\"output_format\":\"webp\",\"provider\":{}}", .path = "/images/generations",
	  .body = "{\"model\":\"m-1\",\"prompt\":\"a moon\",\"size\":\"1024x1024\",\"output_format\":\"webp\"}",
	  .answer = "{\"created\":1,\"data\":[{\"b64_json\":\"AAEC\",\"revised_prompt\":\"a full moon\"},{\"url\":\"https://h/i.png\"}],\"usage\":{\"input_tokens\":10,\"input_tokens_details\":{\"text_tokens\":6,\"image_tokens\":4},\"output_tokens\":7}}",
	  .events = "image(image/webp, 3 bytes, {\"revised_prompt\":\"a full moon\"}) image(image/webp, 0 bytes, {\"url\":\"https://h/i.png\"}) usage(input=6 image_tokens=4 output=7 images_out=2)" },
	{ "a stream: what is not done yet is passed over", .streamed = true, .answer = "event: image_generation.partial_image\ndata: {\"type\":\"image_generation.partial_image\",\"b64_json\":\"AAEC\"}\n\n"
		"event: image_generation.completed\ndata: {\"type\":\"image_generation.completed\",\"b64_json\":\"AAECAw==\",\"output_format\":\"jpeg\",\"usage\":{\"input_tokens\":1,\"output_tokens\":2}}\n\n",
	  .events = "image(image/jpeg, 4 bytes, {}) usage(input=1 output=2 images_out=1)" },
	{ "a refusal", .status = 400, .answer = "{\"error\":{\"message\":\"no\",\"type\":\"image_generation_user_error\",\"code\":\"content_policy_violation\"}}", .events = "error(moderation, no, code content_policy_violation, final)" },
};

static const struct rig_case voices[] = {
	{ "sound as it comes, billed by characters", .request = "{\"model\":\"a/b\",\"input\":\"Hé!\",\"voice\":\"alloy\",\"response_format\":\"mp3\"}", .path = "/audio/speech",
	  .body = "{\"model\":\"m-1\",\"input\":\"Hé!\",\"voice\":\"alloy\",\"response_format\":\"mp3\"}", .headers = "content-type: audio/mpeg\n", .answer = "ID3.abc", .events = "audio(audio/mpeg, 7 bytes) usage(characters=3)" },
	{ "a type with a parameter", .headers = "content-type: audio/wav; rate=24000\n", .answer = "RIFF", .events = "audio(audio/wav, 4 bytes) usage(characters=2)" },
	{ "one that is none", .headers = "content-type: \"x\"\n", .answer = "RIFF", .events = "audio(audio/mpeg, 4 bytes) usage(characters=2)" },
};

static const struct rig_case transcripts[] = {
	{ "a form with the sound itself", .request = "{\"model\":\"a/b\",\"input_audio\":{\"data\":\"UklGRg==\",\"format\":\"mp3\"},\"language\":\"en\",\"temperature\":0.20,\"timestamp_granularities\":[\"word\"]}", .path = "/audio/transcriptions",
	  .sends = "Content-Type: multipart/form-data; boundary=moongate-b1f7c2d94e8a46d0\nAuthorization: Bearer sk-rig",
	  .body = FORM("model", "m-1") FORM("language", "en") FORM("temperature", "0.20") FORM("timestamp_granularities[]", "word")
		"--moongate-b1f7c2d94e8a46d0\r\nContent-Disposition: form-data; name=\"file\"; filename=\"audio.mp3\"\r\nContent-Type: application/octet-stream\r\n\r\nRIFF\r\n--moongate-b1f7c2d94e8a46d0--\r\n",
	  .answer = "{\"text\":\"Hi.\",\"usage\":{\"type\":\"duration\",\"seconds\":7}}", .events = "text(Hi.) usage(seconds=7)" },
	{ "segments, words, a second that is begun", .answer = "{\"text\":\"Hi.\",\"language\":\"english\",\"duration\":6.2,\"segments\":[{\"id\":0,\"start\":0.0,\"end\":1.5,\"text\":\"Hi.\"}],\"words\":[{\"word\":\"Hi\",\"start\":0.1,\"end\":0.4}]}",
	  .events = "text(Hi.) segment(Hi., {\"id\":0,\"start\":0.0,\"end\":1.5,\"text\":\"Hi.\"}) segment(, {\"language\":\"english\",\"duration\":6.2,\"words\":[{\"word\":\"Hi\",\"start\":0.1,\"end\":0.4}]}) usage(seconds=7)" },
	{ "whole seconds", .answer = "{\"text\":\"Hi.\",\"duration\":6.0}", .events = "text(Hi.) segment(, {\"duration\":6.0}) usage(seconds=6)" },
	{ "a stream", .streamed = true, .answer = "data: {\"type\":\"transcript.text.delta\",\"delta\":\"Hi\"}\n\ndata: {\"type\":\"transcript.text.delta\",\"delta\":\".\"}\n\n"
		"data: {\"type\":\"transcript.text.done\",\"text\":\"Hi.\",\"usage\":{\"type\":\"tokens\",\"input_tokens\":14,\"input_token_details\":{\"text_tokens\":0,\"audio_tokens\":14},\"output_tokens\":4}}\n\n",
	  .events = "text(Hi.) usage(audio_in=14 output=4)" },
	{ "subtitles as they come, characters cut or not", .headers = "content-type: text/plain\n", .answer = "1\n00:00:00,000 --> 00:00:01,000\nHé, ✓\n",
	  .events = "text(1\\n00:00:00,000 --> 00:00:01,000\\nHé, ✓\\n)" },
	{ "no sound", .request = "{\"model\":\"a/b\",\"input_audio\":{}}", .events = "refused(input_audio.data: must be base64 of a sound)" },
};

static const struct rig_case verdicts[] = {
	{ "verdicts, one for each input", .request = "{\"model\":\"a/b\",\"input\":[\"x\",\"y\"]}", .path = "/moderations", .body = "{\"model\":\"m-1\",\"input\":[\"x\",\"y\"]}",
	  .answer = "{\"id\":\"i\",\"model\":\"m\",\"results\":[{\"flagged\":true},{\"flagged\":false}]}", .events = "start(i, m) verdict(0, {\"flagged\":true}) verdict(1, {\"flagged\":false})" },
};

#endif
