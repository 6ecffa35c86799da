"""One step of MobileNetV2 for each line on standard input: seconds, and the most memory so far in MB. For main.rs."""
import resource, sys, time
import torch, torch.nn as nn, torch.nn.functional as F

torch.set_num_threads(1)


def block(cin, cout, kernel, stride, groups, act=True):
    layers = [nn.Conv2d(cin, cout, kernel, stride, kernel // 2, groups=groups, bias=False), nn.BatchNorm2d(cout)]
    return nn.Sequential(*layers, nn.ReLU6()) if act else nn.Sequential(*layers)


class Bottleneck(nn.Module):
    def __init__(self, cin, cout, stride, expansion):
        super().__init__()
        wide = cin * expansion
        layers = [block(cin, wide, 1, 1, 1)] if expansion > 1 else []
        self.layers = nn.Sequential(*layers, block(wide, wide, 3, stride, wide), block(wide, cout, 1, 1, 1, act=False))
        self.residual = stride == 1 and cin == cout

    def forward(self, x):
        return x + self.layers(x) if self.residual else self.layers(x)


layers, channels = [block(3, 32, 3, 2, 1)], 32
for expansion, out, times, stride in [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]:
    for at in range(times):
        layers.append(Bottleneck(channels, out, stride if at == 0 else 1, expansion))
        channels = out
net = nn.Sequential(*layers, block(320, 1280, 1, 1, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1280, 1000))
optimiser = torch.optim.SGD(net.parameters(), 1e-3, momentum=0.9)
x, y = torch.randn(8, 3, 224, 224), torch.arange(8)
for _ in sys.stdin:
    start = time.perf_counter()
    loss = F.cross_entropy(net(x), y)
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    took = time.perf_counter() - start
    print(f"{took} {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}", flush=True)
