/* A small shared library with functions and data whose names and places are known. */
#include <stdio.h>

int greeting_count;
const char greeting_text[] = "good morning";

/* Two functions that do something, and a local one that a symbol table without locals leaves out. */
static int greeting_next(void)
{
    return ++greeting_count;
}

int greeting_number(void)
{
    return greeting_next();
}

void greeting_say(FILE *out)
{
    fprintf(out, "%s %d\n", greeting_text, greeting_next());
}
