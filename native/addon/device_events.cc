#include "device_events.h"

#include <cstdint>
#include <memory>
#include <vector>

#include "dispatch.h"
#include "engine.h"

namespace {

// Devices work on threads of their own: their events are copied and delivered by the event loop.
struct DeviceEvent {
  rebox_event event;
  std::vector<uint8_t> bytes;
  uint64_t numbers[4];
  // At which it was, where the machine counts its instructions.
  int64_t count = -1;
};

// Has callbacks find the count of an event while they are called.
class DeliveredCount {
 public:
  explicit DeliveredCount(int64_t count) { State().delivered_count = count; }
  ~DeliveredCount() { State().delivered_count = -1; }
};

TriggerParams DeviceParams(DeviceEvent& message) {
  const uint64_t* numbers = message.numbers;
  if (message.event == REBOX_KEYSTROKE) {
    return {{numbers[0]}};
  }
  if (message.event == REBOX_NIC_SEND) {
    return {{ToWord(message.bytes.data()), message.bytes.size(), numbers[0]}};
  }
  return {{ToWord(message.bytes.data()), message.bytes.size(), numbers[1], numbers[2], numbers[3]}};
}

void DeliverDeviceEvent(std::unique_ptr<DeviceEvent> message) {
  GuardedDelivery guarded(State().guard);
  DeliveredCount counted(message->count);
  FireAll(
      message->event, 0, [] { return EventFacts(); },
      [&](napi_value* arguments) -> size_t {
        if (message->event == REBOX_KEYSTROKE) {
          arguments[0] = script_objects.Number(static_cast<uint32_t>(message->numbers[0]));
          return 1;
        }
        napi_value buffer = nullptr;
        napi_create_buffer_copy(script_objects.env, message->bytes.size(), message->bytes.data(), nullptr, &buffer);
        napi_value size = script_objects.Number(static_cast<uint32_t>(message->bytes.size()));
        if (message->event == REBOX_NIC_SEND) {
          arguments[0] = script_objects.BigInt(message->numbers[0]);
          arguments[1] = size;
          arguments[2] = buffer;
          return 3;
        }
        arguments[0] = buffer;
        arguments[1] = size;
        for (int i = 1; i <= 3; i++) {
          arguments[i + 1] = script_objects.BigInt(message->numbers[i]);
        }
        return 5;
      },
      [&] { return DeviceParams(*message); });
}

void PostDeviceEvent(std::unique_ptr<DeviceEvent> message) {
  // It is delivered later, when the replay may have arrived.
  if (IsTravelling()) {
    return;
  }
  if (rebox_counts_instructions()) {
    message->count = static_cast<int64_t>(rebox_instruction_count());
  }
  DeviceEvent* released = message.release();
  PostToEventLoop([released] { DeliverDeviceEvent(std::unique_ptr<DeviceEvent>(released)); });
}

void OnKeystroke(void*, uint32_t keycode) {
  PostDeviceEvent(std::unique_ptr<DeviceEvent>(new DeviceEvent{REBOX_KEYSTROKE, {}, {keycode, 0, 0, 0}}));
}

void PostFrame(rebox_event event, const rebox_frame* frame) {
  std::vector<uint8_t> bytes(frame->bytes, frame->bytes + frame->size);
  PostDeviceEvent(std::unique_ptr<DeviceEvent>(
      new DeviceEvent{event, std::move(bytes), {frame->address, frame->current, frame->start, frame->stop}}));
}

void OnFrameSent(void*, const rebox_frame* frame) { PostFrame(REBOX_NIC_SEND, frame); }

void OnFrameReceived(void*, const rebox_frame* frame) { PostFrame(REBOX_NIC_REC, frame); }

}  // namespace

void ListenToDevices(rebox_listener* listener) {
  listener->keystroke = OnKeystroke;
  listener->frame_sent = OnFrameSent;
  listener->frame_received = OnFrameReceived;
}
