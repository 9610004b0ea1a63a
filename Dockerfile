# nndbg, its trainer and its data on Debian slim, ready without a network:
#
#   docker build -t nndbg .
#   docker run --rm -it nndbg               the debugger on the bundled trainer
#   docker run --rm nndbg                   its report, where there is no terminal
#   docker run --rm nndbg nndbg doctor      is this machine able?
#
# GDB traces only its own children, which Docker's default profile allows since Linux 4.8; on an older
# kernel add --cap-add=SYS_PTRACE.
FROM debian:bookworm-slim

RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        ca-certificates gcc gdb libc6-dev nasm python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*

RUN useradd --create-home nndbg \
    && install --directory --owner=nndbg --group=nndbg /opt/nndbg
WORKDIR /opt/nndbg
USER nndbg
ENV LANG=C.UTF-8 PATH=/opt/nndbg/.venv/bin:$PATH

COPY --chown=nndbg:nndbg . .
RUN PIP_NO_CACHE_DIR=1 ./build.sh setup

CMD ["./build.sh", "run"]
