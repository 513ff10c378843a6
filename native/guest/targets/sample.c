/*
 * A target for analyses, whose acts are known: sample ADDRESS PORT
 *
 * It writes a file and gives it another name, starts a child that writes one of its own, and removes one. Then it connects to
 * the address, tells who it is, and ends with what the other side answers, a digit.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static void fail(const char *what)
{
    perror(what);
    exit(100);
}

static void write_file(const char *path, const char *text)
{
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (file < 0 || write(file, text, strlen(text)) < 0 || close(file) < 0)
        fail(path);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fputs("usage: sample ADDRESS PORT\n", stderr);
        return 100;
    }
    write_file("/tmp/sample-draft", "written by sample\n");
    if (rename("/tmp/sample-draft", "/tmp/sample-notes") < 0)
        fail("rename");

    pid_t child = fork();
    if (child < 0)
        fail("fork");
    if (child == 0) {
        write_file("/tmp/sample-child", "written by its child\n");
        execl("/bin/sleep", "sleep", "0", (char *)NULL);
        fail("/bin/sleep");
    }
    if (waitpid(child, NULL, 0) < 0)
        fail("waitpid");

    write_file("/tmp/sample-trace", "gone soon\n");
    if (unlink("/tmp/sample-trace") < 0)
        fail("unlink");

    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(argv[2])) };
    if (inet_pton(AF_INET, argv[1], &address.sin_addr) != 1)
        fail(argv[1]);
    int connection = socket(AF_INET, SOCK_STREAM, 0);
    if (connection < 0 || connect(connection, (struct sockaddr *)&address, sizeof address) < 0)
        fail("connect");
    const char *greeting = "this is sample\n";
    char answer = 0;
    if (write(connection, greeting, strlen(greeting)) < 0 || read(connection, &answer, 1) != 1)
        fail("talk");
    return answer - '0';
}
