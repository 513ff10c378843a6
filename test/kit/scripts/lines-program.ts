/** A program of C that takes some of its branches, and not others. */
export const LINES_PROGRAM = `#include <stdio.h>
static int work(int count) {
    int sum = 0;

    for (int at = 0; at < count; at++) {
        if (at % 2 == 0) {
            sum += at;
        } else if (at > 100) {
            sum -= 1;
        }
    }
    return sum;
}

int main(void) {
    printf("%d\\n", work(7));
    return 0;
}
`;
