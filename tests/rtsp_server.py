#!/usr/bin/python3
"""An RTSP server of GStreamer for tests/streams.rs: PORT PIPELINE [basic|digest USER PASSWORD]"""
import sys, gi
gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer as Rtsp

Gst.init(None)
server = Rtsp.RTSPServer.new()
server.set_service(sys.argv[1])
factory = Rtsp.RTSPMediaFactory.new()
factory.set_launch(sys.argv[2])
factory.set_shared(True)


def configure(_factory, media):
    """What an encoder called `keyless` makes has no key pictures: nobody is there from the start."""
    encoder = media.get_element().get_by_name("keyless")

    def probe(_pad, info):
        is_delta = info.get_buffer().get_flags() & Gst.BufferFlags.DELTA_UNIT
        return Gst.PadProbeReturn.OK if is_delta else Gst.PadProbeReturn.DROP

    if encoder:
        encoder.get_static_pad("src").add_probe(Gst.PadProbeType.BUFFER, probe)


factory.connect("media-configure", configure)
if len(sys.argv) > 3:
    kind, user, password = sys.argv[3:6]
    auth = Rtsp.RTSPAuth.new()
    token = Rtsp.RTSPToken()
    token.set_string("media.factory.role", "user")
    if kind == "basic":
        auth.add_basic(Rtsp.RTSPAuth.make_basic(user, password), token)
    else:
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
        auth.add_digest(user, password, token)
    server.set_auth(auth)
    role = Gst.Structure.new_from_string("user, media.factory.access=(boolean)true, media.factory.construct=(boolean)true")
    factory.add_role_from_structure(role)
server.get_mount_points().add_factory("/cam", factory)
server.attach(None)
print("ready", flush=True)
GLib.MainLoop().run()
