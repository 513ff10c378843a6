/* A shared library that nothing is linked with: for dlopen. */
int guest_answer(void)
{
    return 42;
}
