/* Reads mail with GMime 3 (Debian: libgmime-3.0-dev), the parser of GNOME's and notmuch's programs.
 *
 * In C: the bindings for other languages hand content over as text, and are one more thing to install.
 * Protocol: README.md, "Readers".
 */
#include <gmime/gmime.h>
#include <stdio.h>
#include <string.h>

#define MARKER "QSCAN-AMBIGUITY-"
#define MARKER_BYTES (sizeof MARKER - 1 + 16)

static int leaves;

static void print_text(const char *text)
{
	char *valid = g_utf8_validate(text, -1, NULL) ? g_strdup(text)
		: g_convert(text, -1, "UTF-8", "ISO-8859-1", NULL, NULL, NULL);

	putchar('"');
	for (const char *at = valid; *at; at++) {
		unsigned char byte = (unsigned char) *at;
		if (byte == '"' || byte == '\\')
			printf("\\%c", byte);
		else if (byte < ' ' || byte == 127)
			printf("\\u%04x", byte);
		else
			putchar(byte);
	}
	putchar('"');
	g_free(valid);
}

static int is_marker(const char *at)
{
	for (size_t i = sizeof MARKER - 1; i < MARKER_BYTES; i++)
		if (!strchr("0123456789abcdef", at[i]) || !at[i])
			return 0;
	return memcmp(at, MARKER, sizeof MARKER - 1) == 0;
}

static void print_leaf(const char *content, size_t size, const char *const names[], size_t count)
{
	char *digest = g_compute_checksum_for_data(G_CHECKSUM_SHA256, (const guchar *) content, size);
	const char *comma = "";

	printf("%s{\"size\":%zu,\"sha256\":\"%s\",\"names\":[", leaves++ ? "," : "", size, digest);
	for (size_t i = 0; i < count; i++) {
		if (!names[i])
			continue;
		fputs(comma, stdout);
		print_text(names[i]);
		comma = ",";
	}
	fputs("],\"markers\":[", stdout);
	comma = "";
	for (size_t i = 0; i + MARKER_BYTES <= size; i++) {
		if (!is_marker(content + i))
			continue;
		printf("%s\"%.*s\"", comma, (int) MARKER_BYTES, content + i);
		comma = ",";
	}
	fputs("]}", stdout);
	g_free(digest);
}

static void walk(GMimeObject *object)
{
	const char *names[] = {
		g_mime_object_get_content_disposition_parameter(object, "filename"),
		g_mime_object_get_content_type_parameter(object, "name"),
	};
	GMimeDataWrapper *content = GMIME_IS_PART(object) ? g_mime_part_get_content(GMIME_PART(object)) : NULL;
	GMimeStream *stream = g_mime_stream_mem_new();
	GByteArray *bytes;

	if (content)
		g_mime_data_wrapper_write_to_stream(content, stream);
	bytes = g_mime_stream_mem_get_byte_array(GMIME_STREAM_MEM(stream));
	print_leaf((const char *) bytes->data, bytes->len, names, G_N_ELEMENTS(names));
	g_object_unref(stream);
	if (GMIME_IS_MULTIPART(object)) {
		GMimeMultipart *multipart = GMIME_MULTIPART(object);
		/* What stands around the parts is shown by no client, but kept by this one. */
		const char *outside[] = { g_mime_multipart_get_prologue(multipart), g_mime_multipart_get_epilogue(multipart) };

		for (size_t i = 0; i < G_N_ELEMENTS(outside); i++)
			if (outside[i])
				print_leaf(outside[i], strlen(outside[i]), NULL, 0);
		for (int i = 0; i < g_mime_multipart_get_count(multipart); i++)
			walk(g_mime_multipart_get_part(multipart, i));
	} else if (GMIME_IS_MESSAGE_PART(object)) {
		GMimeMessage *inner = g_mime_message_part_get_message(GMIME_MESSAGE_PART(object));

		if (inner && g_mime_message_get_mime_part(inner))
			walk(g_mime_message_get_mime_part(inner));
	}
}

static void read_message(const char *file)
{
	GMimeStream *stream = g_mime_stream_file_open(file, "r", NULL);
	GMimeParser *parser;
	GMimeMessage *message;

	leaves = 0;
	fputs("{\"file\":", stdout);
	print_text(file);
	fputs(",\"leaves\":[", stdout);
	if (!stream) {
		puts("],\"error\":\"cannot open\"}");
		return;
	}
	parser = g_mime_parser_new_with_stream(stream);
	message = g_mime_parser_construct_message(parser, NULL);
	if (message && g_mime_message_get_mime_part(message))
		walk(g_mime_message_get_mime_part(message));
	puts(message ? "]}" : "],\"error\":\"no message\"}");
	if (message)
		g_object_unref(message);
	g_object_unref(parser);
	g_object_unref(stream);
}

int main(void)
{
	static char line[4096];

	g_mime_init();
	while (fgets(line, sizeof line, stdin)) {
		line[strcspn(line, "\n")] = '\0';
		read_message(line);
		fflush(stdout);
	}
	return 0;
}
