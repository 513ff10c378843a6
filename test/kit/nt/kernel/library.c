// A library, and a driver: loaded and unloaded, without being called.
volatile unsigned int LibraryState;

__attribute__((dllexport)) unsigned int GetLibraryState(void) { return LibraryState; }

int start(void) { return 1; }
