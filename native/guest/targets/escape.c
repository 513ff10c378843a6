/* A target that tries to get out of sight: see main(). It says what it does in lines "rebox-guest: escape.KEY=VALUE". */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void tell(const char *key, long value)
{
    char line[96];
    int size = snprintf(line, sizeof(line), "rebox-guest: escape.%s=%ld\n", key, value);
    int console = open("/dev/console", O_WRONLY);
    if (write(console, line, size) != size) {
        _exit(99);
    }
    close(console);
}

static void note(const char *path)
{
    int file = open(path, O_CREAT | O_WRONLY, 0644);
    if (write(file, "x", 1) != 1) {
        _exit(98);
    }
    close(file);
}

/* Each process lives only until it has made the next one. */
static int chain(int length)
{
    for (int i = 1; i < length; i++) {
        pid_t child = fork();
        if (child < 0) {
            tell("failed", i);
            return 1;
        }
        if (child > 0) {
            _exit(0);
        }
    }
    note("/tmp/escape-chain");
    tell("chain", length);
    return 0;
}

/* As daemon(3) does it: of the process that began nothing is left, and the environment is empty. */
static int daemonize(int seconds)
{
    if (fork() > 0) {
        return 0;
    }
    setsid();
    if (fork() > 0) {
        _exit(0);
    }
    if (chdir("/") != 0) {
        return 1;
    }
    char *path[] = { "escape", "rest", NULL };
    char *nothing[] = { NULL };
    sleep(seconds);
    execve("/proc/self/exe", path, nothing);
    return 1;
}

static void *work(void *seconds)
{
    sleep((long)seconds);
    note("/tmp/escape-thread");
    tell("thread", getpid());
    return NULL;
}

int main(int count, char **words)
{
    const char *how = count > 1 ? words[1] : "";
    int number = count > 2 ? atoi(words[2]) : 0;
    if (strcmp(how, "chain") == 0) {
        return chain(number);
    }
    if (strcmp(how, "daemon") == 0) {
        return daemonize(number);
    }
    if (strcmp(how, "rest") == 0) {
        note("/tmp/escape-daemon");
        tell("daemon", getpid());
        return 0;
    }
    if (strcmp(how, "thread") == 0) {
        pthread_t thread;
        pthread_create(&thread, NULL, work, (void *)(long)number);
        pthread_exit(NULL);
    }
    if (strcmp(how, "signal") == 0) {
        abort();
    }
    return 64;
}
