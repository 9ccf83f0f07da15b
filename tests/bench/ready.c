/*
 * ready.c - when a gateway that was just started answers.
 *
 *	ready FILE	waits until FILE says "listening on" and /readyz says 200; prints the port
 *	ready		prints a port that is free, for servers that cannot choose one
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE_MS = 60000 };

static int said(const char *what)
{
	fprintf(stderr, "ready: %s\n", what);
	return 1;
}

static int port_in(const char *file)
{
	static const char word[] = "listening on http://127.0.0.1:";
	char text[4096] = "", *at;
	FILE *f = fopen(file, "re");

	if (!f)
		return 0;
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	fclose(f);
	at = strstr(text, word);
	return at && strchr(at, '\n') ? (int)strtol(at + sizeof(word) - 1, NULL, 10) : 0;
}

static int is_ready(int port)
{
	static const char ask[] = "GET /readyz HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n";
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	char in[64] = "";
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), up;

	if (fd < 0)
		return 0;
	up = !connect(fd, (struct sockaddr *)&at, sizeof(at)) && send(fd, ask, sizeof(ask) - 1, MSG_NOSIGNAL) > 0 &&
		recv(fd, in, sizeof(in) - 1, 0) > 12 && !memcmp(in + 9, "200", 3);
	close(fd);
	return up;
}

static int free_port(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&at, size) || getsockname(fd, (struct sockaddr *)&at, &size))
		return said("no port is free");
	printf("%d\n", ntohs(at.sin_port));
	return 0;
}

int main(int argc, char **argv)
{
	struct timespec pause = { 0, 1000000 };

	if (argc != 2)
		return free_port();
	for (int i = 0; i < PATIENCE_MS; i++) {
		int port = port_in(argv[1]);

		if (port && is_ready(port)) {
			printf("%d\n", port);
			return 0;
		}
		nanosleep(&pause, NULL);
	}
	return said("the gateway is not ready");
}
