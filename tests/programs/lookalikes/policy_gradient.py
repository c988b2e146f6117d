"""REINFORCE with a learned baseline on a walk along a line; actions are drawn by NumPy from the policy's probabilities."""

from collections import deque, namedtuple
from itertools import count

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from seeded import seed_weights
from torch.distributions import Categorical

SavedAction = namedtuple("SavedAction", ["log_prob", "value"])


class Walk:
    """Start at 0; +1 for reaching 3, -1 for reaching -3, a small cost for each step."""

    def reset(self):
        self.x, self.t = 0.0, 0
        return np.array([0.0, 0.0], dtype=np.float32)

    def step(self, action):
        self.x, self.t = self.x + (1 if action == 1 else -1), self.t + 1
        done = abs(self.x) >= 3 or self.t >= 15
        reward = -0.05 + (np.sign(self.x) if abs(self.x) >= 3 else 0)
        return np.array([self.x, self.t / 15], dtype=np.float32), float(reward), done


class Policy(nn.Module):
    def __init__(self):
        super().__init__()
        self.affine1 = nn.Linear(2, 16)
        self.action_head = nn.Linear(16, 2)
        self.value_head = nn.Linear(16, 1)
        self.saved_actions, self.rewards = [], []

    def forward(self, x):
        x = F.relu(self.affine1(x))
        return F.softmax(self.action_head(x), dim=-1), self.value_head(x)


def select_action(model, state, rng):
    probs, value = model(torch.from_numpy(state).float())
    m = Categorical(probs)
    action = torch.tensor(int(rng.uniform() > m.probs[0].item()))
    model.saved_actions.append(SavedAction(m.log_prob(action), value))
    return action.item(), m.entropy()


def finish_episode(model, optimizer):
    R, returns = 0, deque()
    for r in model.rewards[::-1]:
        R = r + 0.99 * R
        returns.appendleft(R)
    returns = torch.tensor(returns)
    eps = np.finfo(np.float32).eps.item()
    returns = (returns - returns.mean()) / (returns.std() + eps)
    policy_losses, value_losses = [], []
    for (log_prob, value), R in zip(model.saved_actions, returns, strict=True):
        policy_losses.append(-log_prob * (R - value.item()))
        value_losses.append(F.smooth_l1_loss(value, torch.tensor([R])))
    optimizer.zero_grad()
    loss = torch.stack(policy_losses).sum() + torch.stack(value_losses).sum()
    loss.backward()
    optimizer.step()
    del model.rewards[:]
    del model.saved_actions[:]
    return loss.item()


def main():
    rng = np.random.default_rng(0)
    env, model, results = Walk(), seed_weights(Policy()), []
    optimizer = optim.Adam(model.parameters(), lr=3e-2)
    for _ in range(8):
        state, total, entropies = env.reset(), 0.0, []
        for _t in count(1):
            action, entropy = select_action(model, state, rng)
            entropies.append(entropy)
            state, reward, done = env.step(action)
            model.rewards.append(reward)
            total += reward
            if done:
                break
        results += [finish_episode(model, optimizer), total, torch.stack(entropies).mean().item()]
    return results


if __name__ == "__main__":
    print(main())
