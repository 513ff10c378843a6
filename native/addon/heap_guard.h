// What happens when scripts fill the memory that V8 may use.
#pragma once

// Cuts a script off that fills the heap, while rebox calls it. V8 would end the process, and the guest with it.
void GuardHeap();
