"""Reads exports of an analysis as other tools do: the event for MISP by PyMISP, the trace by Perfetto's own definition.

Reads JSON from standard input, {"misp": FILE, "perfetto": FILE}, and writes what was read as JSON.
"""

import json
import sys
import warnings

from perfetto.protos.perfetto.trace import perfetto_trace_pb2
from pymisp import MISPEvent

warnings.simplefilter("ignore")
files = json.load(sys.stdin)

event = MISPEvent()
event.load_file(files["misp"], validate=True)
misp = {
    "uuid": event.uuid,
    "info": event.info,
    "date": event.date.isoformat(),
    "tags": [tag.name for tag in event.tags],
    "attributes": [[a.type, a.category, a.value, a.to_ids, a.comment] for a in event.attributes],
}

trace = perfetto_trace_pb2.Trace()
with open(files["perfetto"], "rb") as file:
    trace.ParseFromString(file.read())
tracks, stacks, slices, instants = {}, {}, [], []


def arguments(track_event):
    values = {}
    for one in track_event.debug_annotations:
        values[one.name] = getattr(one, one.WhichOneof("value"))
    return values


# As trace_processor does: by time, and by their order in the file where that is the same.
packets = sorted(trace.packet, key=lambda packet: packet.timestamp if packet.HasField("timestamp") else 0)
for packet in packets:
    assert packet.trusted_packet_sequence_id, "a packet is of no sequence"
    if packet.HasField("track_descriptor"):
        descriptor = packet.track_descriptor
        assert descriptor.uuid not in tracks, "a track is there twice"
        tracks[descriptor.uuid] = [descriptor.name, descriptor.parent_uuid]
    elif packet.HasField("track_event"):
        one = packet.track_event
        assert one.track_uuid in tracks, "an event is on no track"
        names = []
        at = one.track_uuid
        while at:
            names.insert(0, tracks[at][0])
            at = tracks[at][1]
        stack = stacks.setdefault(one.track_uuid, [])
        if one.type == one.TYPE_SLICE_BEGIN:
            stack.append([one.name, list(one.categories), packet.timestamp])
        elif one.type == one.TYPE_SLICE_END:
            name, categories, since = stack.pop()
            slices.append([names, name, categories, len(stack), since, packet.timestamp])
        else:
            assert one.type == one.TYPE_INSTANT
            instants.append([names, one.name, list(one.categories), arguments(one)])
assert not any(stacks.values()), "a slice does not end"
# What the definition does not know would come back longer than it is read.
known = perfetto_trace_pb2.Trace()
known.CopyFrom(trace)
known.DiscardUnknownFields()
same = known.SerializeToString(deterministic=True) == trace.SerializeToString(deterministic=True)
json.dump({"misp": misp, "slices": slices, "instants": instants, "isKnown": same}, sys.stdout)
