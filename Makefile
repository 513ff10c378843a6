# Compiles a trigger and nothing else: make triggers/trigger_template-x86_64-softmmu.so
# Everything else is built by `npm run setup`. CallbackManager.addTrigger() compiles with the same flags.

CC = gcc
CXX = g++
FLAGS = -shared -fPIC -O2 -Wall -Wl,-Bsymbolic -I native/qemu -I triggers -I triggers/pyrebox
HEADERS = native/qemu/qemu_glue.h $(wildcard triggers/*.h triggers/pyrebox/*.h)

help:
	@echo "make triggers/NAME-x86_64-softmmu.so compiles triggers/NAME.c, .cc or .cpp; npm run setup builds rebox"

%-x86_64-softmmu.so: %.c $(HEADERS)
	$(CC) $(FLAGS) -o $@ $<

%-x86_64-softmmu.so: %.cc $(HEADERS)
	$(CXX) $(FLAGS) -fno-gnu-unique -o $@ $<

%-x86_64-softmmu.so: %.cpp $(HEADERS)
	$(CXX) $(FLAGS) -fno-gnu-unique -o $@ $<

%-i386-softmmu.so:
	@echo "$@: rebox has one target, x86_64, which runs 32-bit guests too: make $*-x86_64-softmmu.so" >&2; exit 1

.PHONY: help
