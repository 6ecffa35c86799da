//! The kernel's camera interface, as our bindings have it and as the C compiler reads it from the system's header: the
//! sizes of what is passed, where its fields lie, and the numbers of the requests.
#![cfg(all(feature = "camera", target_os = "linux"))]
#![allow(clippy::unwrap_used)]

#[path = "support/limit.rs"]
mod limit;
mod support;

use std::mem::{offset_of, size_of};
use std::process::Command;
use v4l::v4l_sys as sys;

/// What we have: C's expression, and our number.
macro_rules! expectations {
    (sizes: $($size:ident),*; offsets: $($of:ident.$field:ident),*; requests: $($request:ident),*; constants: $($constant:ident),*;) => {
        vec![
            $((format!("sizeof(struct {})", stringify!($size)), size_of::<sys::$size>() as u64),)*
            $((format!("offsetof(struct {}, {})", stringify!($of), stringify!($field)), offset_of!(sys::$of, $field) as u64),)*
            $((stringify!($request).to_owned(), v4l::v4l2::vidioc::$request as u64),)*
            $((stringify!($constant).to_owned(), u64::from(sys::$constant)),)*
        ]
    };
}

#[test]
fn bindings_equal_the_header() {
    let _limit = limit::within(60);
    let ours: Vec<(String, u64)> = expectations! {
        sizes: v4l2_capability, v4l2_fmtdesc, v4l2_format, v4l2_pix_format, v4l2_requestbuffers, v4l2_buffer, v4l2_plane,
            v4l2_timecode, v4l2_streamparm, v4l2_captureparm, v4l2_outputparm, v4l2_fract, v4l2_frmsizeenum,
            v4l2_frmivalenum, v4l2_control, v4l2_queryctrl, v4l2_querymenu, v4l2_query_ext_ctrl, v4l2_ext_control,
            v4l2_ext_controls, timeval;
        offsets: v4l2_capability.capabilities, v4l2_fmtdesc.pixelformat, v4l2_format.fmt, v4l2_buffer.timestamp,
            v4l2_buffer.sequence, v4l2_buffer.m, v4l2_buffer.length, v4l2_pix_format.bytesperline,
            v4l2_captureparm.timeperframe, v4l2_frmsizeenum.type_, v4l2_frmivalenum.type_, v4l2_query_ext_ctrl.flags,
            v4l2_ext_controls.controls;
        requests: VIDIOC_QUERYCAP, VIDIOC_ENUM_FMT, VIDIOC_G_FMT, VIDIOC_S_FMT, VIDIOC_REQBUFS, VIDIOC_QUERYBUF,
            VIDIOC_QBUF, VIDIOC_DQBUF, VIDIOC_STREAMON, VIDIOC_STREAMOFF, VIDIOC_G_PARM, VIDIOC_S_PARM,
            VIDIOC_QUERYCTRL, VIDIOC_QUERY_EXT_CTRL, VIDIOC_QUERYMENU, VIDIOC_G_CTRL, VIDIOC_S_CTRL,
            VIDIOC_G_EXT_CTRLS, VIDIOC_S_EXT_CTRLS, VIDIOC_ENUM_FRAMESIZES, VIDIOC_ENUM_FRAMEINTERVALS;
        constants: V4L2_CID_BRIGHTNESS, V4L2_CID_EXPOSURE, V4L2_CID_ZOOM_RELATIVE, V4L2_CID_WHITE_BALANCE_TEMPERATURE;
    };
    let folder = tempfile::tempdir().unwrap();
    let (source, program) = (folder.path().join("sizes.c"), folder.path().join("sizes"));
    let mut text = "#include <stddef.h>\n#include <stdio.h>\n#include <sys/time.h>\n#include <linux/videodev2.h>\n#define type_ type\nint main(void) {\n".to_owned();
    for (expression, _) in &ours {
        text += &format!("printf(\"%llu\\n\", (unsigned long long)({expression}));\n");
    }
    std::fs::write(&source, text + "}\n").unwrap();
    let built = Command::new("cc").arg(&source).arg("-o").arg(&program).output();
    let Ok(built) = built else {
        support::skipped("install a C compiler");
        return;
    };
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let said = Command::new(&program).output().unwrap();
    let theirs = String::from_utf8(said.stdout).unwrap();
    let theirs: Vec<u64> = theirs.lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!(theirs.len(), ours.len());
    for ((expression, ours), theirs) in ours.iter().zip(theirs) {
        assert_eq!(*ours, theirs, "{expression}");
    }
}
