"""Train the network on images of digits: on a GPU if there is one, by one or more processes.

Several processes share each batch. Azure ML starts them, and says in environment variables
which one each is: https://learn.microsoft.com/azure/machine-learning/how-to-train-distributed-gpu
"""

import argparse
import os
import time
from pathlib import Path

import mlflow
import numpy as np
import torch
import torch.distributed as dist
from network import network
from torch import nn
from torch.nn.parallel import DistributedDataParallel

BATCH = 32
RANK = int(os.environ.get("RANK", 0))
PROCESSES = int(os.environ.get("WORLD_SIZE", 1))


def options():
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=Path, required=True, help="folder with *.npz")
    parser.add_argument("--model", type=Path, required=True, help="folder for network.pt")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--learning-rate", type=float, default=0.001)
    return parser.parse_args()


def say(text):
    """Print a line, once for all processes."""
    if RANK == 0:
        print(text)


def choose_device():
    """Return the GPU of this process, or else the CPU; say which, and why."""
    if not torch.cuda.is_available():
        torch.set_num_threads(1)  # for images this small, more would only wait for each other
        say("device: cpu, for PyTorch finds no CUDA GPU on this node")
        return torch.device("cpu")
    local_rank = int(os.environ.get("LOCAL_RANK", 0))
    device = torch.device("cuda", local_rank % torch.cuda.device_count())
    torch.cuda.set_device(device)
    say(f"device: cuda, {torch.cuda.get_device_name(device)}")
    return device


def load(file, device):
    """Return images, brightness from 0 to 1, and their digits."""
    content = np.load(file)
    images = torch.tensor(content["images"] / 16, dtype=torch.float32)
    return images.unsqueeze(1).to(device), torch.tensor(content["digits"]).long().to(device)


def connect_processes(device):
    """Let the processes find each other; return the group that averages their gradients."""
    dist.init_process_group("gloo")
    gpus = [None] * PROCESSES
    mine = torch.cuda.get_device_properties(device).uuid if device.type == "cuda" else None
    dist.all_gather_object(gpus, str(mine))
    # NCCL is for GPUs, and for one process a GPU.
    backend = "nccl" if device.type == "cuda" and len(set(gpus)) == PROCESSES else "gloo"
    say(f"processes: {PROCESSES}, which average their gradients with {backend}")
    return dist.new_group(backend=backend)


def train_epoch(model, images, digits, optimizer):
    """Go through all images once, in batches of which each process takes its share."""
    order = torch.randperm(len(images))  # the same in each process: they have the same seed
    for batch in order.split(BATCH):
        mine = batch[RANK::PROCESSES].to(images.device)
        loss = nn.functional.cross_entropy(model(images[mine]), digits[mine])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@torch.no_grad()
def evaluate(model, images, digits):
    """Return the loss, and the share of images whose digit is found."""
    found = model(images)
    loss = nn.functional.cross_entropy(found, digits)
    return loss.item(), (found.argmax(dim=1) == digits).float().mean().item()


def main():
    asked = options()
    torch.manual_seed(0)
    device = choose_device()
    images, digits = load(asked.images / "train.npz", device)
    validation = load(asked.images / "validation.npz", device)
    say(f"images: {len(images)} to learn from, {len(validation[0])} to validate with")

    model = trained = network().to(device)
    if PROCESSES > 1:
        trained = DistributedDataParallel(model, process_group=connect_processes(device))
    optimizer = torch.optim.Adam(model.parameters(), lr=asked.learning_rate)
    best = 0.0
    began = time.perf_counter()
    for epoch in range(1, asked.epochs + 1):
        train_epoch(trained, images, digits, optimizer)
        if RANK == 0:
            loss, accuracy = evaluate(model, *validation)
            metrics = {"validation_loss": loss, "validation_accuracy": accuracy}
            mlflow.log_metrics(metrics, step=epoch)
            if accuracy > best:
                best = accuracy
                torch.save(model.state_dict(), asked.model / "network.pt")
        say(f"epoch {epoch} of {asked.epochs}: done")
    if PROCESSES > 1:
        dist.barrier()
        if RANK > 0:
            # Not by returning: PyTorch would wait for Gloo's threads, and one may still
            # wait for Python's lock. They are done with it once process 0 gets there.
            os._exit(0)
    mlflow.log_metric("training_seconds", time.perf_counter() - began)
    say("saved: network.pt, as it was after the best epoch")


if __name__ == "__main__":
    main()
