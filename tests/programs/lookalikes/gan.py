"""A deep convolutional GAN on small images: two optimizers, labels 1 and 0, `detach`, initialisation by `apply`."""

import numpy as np
import torch
import torch.nn as nn
import torch.optim as optim
from seeded import seed_weights

nz, ngf, ndf, nc = 8, 4, 4, 1


def weights_init(m):
    classname = m.__class__.__name__
    if classname.find("Conv") != -1:
        nn.init.normal_(m.weight.data, 0.0, 0.02)
    elif classname.find("BatchNorm") != -1:
        nn.init.normal_(m.weight.data, 1.0, 0.02)
        nn.init.constant_(m.bias.data, 0)


class Generator(nn.Module):
    def __init__(self):
        super().__init__()
        self.main = nn.Sequential(
            nn.ConvTranspose2d(nz, ngf * 2, 4, 1, 0, bias=False),
            nn.BatchNorm2d(ngf * 2),
            nn.ReLU(True),
            nn.ConvTranspose2d(ngf * 2, ngf, 4, 2, 1, bias=False),
            nn.BatchNorm2d(ngf),
            nn.ReLU(True),
            nn.ConvTranspose2d(ngf, nc, 4, 2, 1, bias=False),
            nn.Tanh(),
        )

    def forward(self, input):
        return self.main(input)


class Discriminator(nn.Module):
    def __init__(self):
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(nc, ndf, 4, 2, 1, bias=False),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(ndf, ndf * 2, 4, 2, 1, bias=False),
            nn.BatchNorm2d(ndf * 2),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(ndf * 2, 1, 4, 1, 0, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, input):
        return self.main(input).view(-1, 1).squeeze(1)


def main():
    device = torch.device("cpu")
    rng = np.random.default_rng(0)
    netG, netD = Generator().to(device), Discriminator().to(device)
    netG.apply(weights_init)
    netD.apply(weights_init)
    seed_weights(netG, 1)
    seed_weights(netD, 2)
    criterion = nn.BCELoss()
    optimizerD = optim.Adam(netD.parameters(), lr=0.0002, betas=(0.5, 0.999))
    optimizerG = optim.Adam(netG.parameters(), lr=0.0002, betas=(0.5, 0.999))
    real_label, fake_label, results = 1.0, 0.0, []
    for _ in range(5):
        real = torch.from_numpy(rng.uniform(-1, 1, (8, nc, 16, 16)).astype("float32"))
        noise = torch.from_numpy(rng.standard_normal((8, nz, 1, 1)).astype("float32"))
        netD.zero_grad()
        label = torch.full((real.size(0),), real_label, dtype=real.dtype, device=device)
        output = netD(real)
        errD_real = criterion(output, label)
        errD_real.backward()
        fake = netG(noise)
        label.fill_(fake_label)
        errD_fake = criterion(netD(fake.detach()), label)
        errD_fake.backward()
        D_x = output.mean().item()
        optimizerD.step()

        netG.zero_grad()
        label.fill_(real_label)
        output = netD(fake)
        errG = criterion(output, label)
        errG.backward()
        optimizerG.step()
        results += [(errD_real + errD_fake).item(), errG.item(), D_x, output.mean().item()]

    # one step of a Wasserstein critic with gradient penalty: a second derivative
    mix = torch.from_numpy(rng.uniform(0, 1, (8, 1, 1, 1)).astype("float32"))
    between = (mix * real + (1 - mix) * fake.detach()).requires_grad_(True)
    (slope,) = torch.autograd.grad(netD(between).sum(), between, create_graph=True)
    penalty = ((slope.view(8, -1).norm(2, dim=1) - 1) ** 2).mean()
    netD.zero_grad()
    penalty.backward()
    return results + [penalty.item()] + [p.grad.norm().item() for p in netD.parameters()]


if __name__ == "__main__":
    print(main())
