// The listeners of one event, in the order in which they came.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "listener.h"

// Listeners may come and go while the event is delivered: a new one waits for the next event, a removed one is not
// called again.
class ListenerList {
 public:
  Listener* Add(std::unique_ptr<Listener> listener);

  template <typename Deliver>
  void Each(Deliver deliver) {
    size_t count = list_.size();
    delivering_++;
    for (size_t i = 0; i < count; i++) {
      if (list_[i]->alive) {
        deliver(*list_[i]);
      }
    }
    EndDelivery();
  }

  template <typename Deliver>
  void One(Listener& listener, Deliver deliver) {
    delivering_++;
    deliver(listener);
    EndDelivery();
  }

  // Takes a listener out, as soon as no event is being delivered. It is released, or kept when it is retired.
  void Kill(Listener* listener);

  // Whether one has a trigger that is asked about every process.
  bool AnyTriggerOfAll() const;
  bool AnyAlive() const;
  // nullptr when there are none, or several.
  Listener* FindOnly() const;

 private:
  void EndDelivery() {
    delivering_--;
    if (dead_ && !delivering_) {
      Sweep();
    }
  }

  void Sweep();

  std::vector<std::unique_ptr<Listener>> list_;
  int delivering_ = 0;
  bool dead_ = false;
};
