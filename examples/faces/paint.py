"""Paints three faces, for the face detectors' pipeline."""
from PIL import Image, ImageDraw, ImageFilter
import numpy as np, sys
W,H=640,360
def face(d, layer, cx, cy, r, skin, hair, shift):
    s=r/100
    def el(x,y,rx,ry,c): d.ellipse([cx+(x-rx)*s,cy+(y-ry)*s,cx+(x+rx)*s,cy+(y+ry)*s],fill=c)
    dark=tuple(int(v*.72) for v in skin); light=tuple(min(255,int(v*1.12)) for v in skin)
    d.rounded_rectangle([cx-150*s,cy+135*s,cx+150*s,cy+400*s],60*s,fill=(60+shift,70,110-shift))      # shoulders
    d.rectangle([cx-34*s,cy+90*s,cx+34*s,cy+165*s],fill=dark)                  # neck
    el(0,-22,92,122,hair); el(0,8,80,108,skin)
    el(-82,12,12,24,dark); el(82,12,12,24,dark)
    d.pieslice([cx-86*s,cy-125*s,cx+86*s,cy+20*s],180,360,fill=hair); el(0,-35,70,50,skin)
    for e in (-1,1):
        el(e*33,-12,22,15,dark); el(e*33,-8,19,11,(245,243,240)); el(e*33,-8,9.5,10,(70,50,35)); el(e*33,-8,4.5,5,(10,10,10)); el(e*33+3,-11,2,2,(255,255,255))
        d.line([cx+(e*14)*s,cy-36*s,cx+(e*36)*s,cy-43*s,cx+(e*56)*s,cy-33*s],fill=tuple(int(v*.7) for v in hair),width=max(2,int(8*s)),joint='curve')
    el(0,24,11,26,light); el(-12,42,7,6,dark); el(12,42,7,6,dark); el(0,40,14,9,skin)
    el(-10,46,4,3,(90,40,35)); el(10,46,4,3,(90,40,35))
    el(0,74,32,11,(165,75,75)); el(0,70,28,5,(120,40,45)); el(0,84,16,4,dark)
    el(-50,40,18,14,light); el(50,40,18,14,light)
im=Image.new('RGB',(W,H),(150,165,175)); d=ImageDraw.Draw(im)
for i in range(0,W,80): d.rectangle([i,0,i+40,H],fill=(140,155,165))
face(d,im,130,150,90,(224,172,140),(60,40,28),0); face(d,im,330,170,80,(150,100,72),(25,20,18),60); face(d,im,520,160,72,(240,200,175),(150,110,60),-20)
im=im.filter(ImageFilter.GaussianBlur(2.2)); a=np.asarray(im).astype(float)
y,x=np.mgrid[0:H,0:W]; a*= (0.86+0.22*(x/W))[...,None]; a+=np.random.default_rng(1).normal(0,3,a.shape)
Image.fromarray(a.clip(0,255).astype('uint8')).save(sys.argv[1],quality=92)
