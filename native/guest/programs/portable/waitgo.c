/* waitgo NAME: lets a task wait for a sign from outside, see go.h. */
#include "../go.h"

int main(int argc, char **argv)
{
    wait_for_go(argc > 1 ? argv[1] : "task");
    return 0;
}
