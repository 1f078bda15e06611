#!/usr/bin/env bash
# Two hosts, as network namespaces with names of their own, train together over TCP; then their link
# is cut. Needs root, Open MPI, and a program with the feature `mpi`:
#   scripts/two_hosts.sh [PROGRAM]
# The first part must end with the bytes of a run of one process. In the second the watchdog or the
# launcher must end everything, on both hosts.
set -euo pipefail
cd "$(dirname "$0")/.."
program=$(realpath "${1:-target/debug/secateur}")
work=$(mktemp -d)
one=secateur-1-$$ two=secateur-2-$$
one_end=s1-$$ two_end=s2-$$
cleanup() {
    for host in "$one" "$two"; do
        # Whatever is left of a failed run.
        ip netns pids "$host" 2>/dev/null | xargs -r kill -9 || true
        ip netns del "$host" 2>/dev/null || true
    done
    rm -rf "$work"
}
trap cleanup EXIT

for host in "$one" "$two"; do ip netns add "$host"; done
ip link add "$one_end" netns "$one" type veth peer name "$two_end" netns "$two"
ip -n "$one" address add 10.77.0.1/24 dev "$one_end"
ip -n "$two" address add 10.77.0.2/24 dev "$two_end"
ip -n "$one" link set "$one_end" up
ip -n "$two" link set "$two_end" up
for host in "$one" "$two"; do ip -n "$host" link set lo up; done

# What mpirun starts the second host's daemon by, in place of ssh: HOST COMMAND...
cat >"$work/agent" <<AGENT
#!/bin/sh
shift
exec ip netns exec $two unshare --uts sh -c "hostname two; \$*"
AGENT
chmod +x "$work/agent"

export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export XDG_CACHE_HOME=${XDG_CACHE_HOME:-$work/cache}
# Without the last three mpirun does not notice for many minutes that a host is out of reach.
launch=(mpirun --host 10.77.0.1,10.77.0.2 -n 2 --bind-to none
    --mca plm_rsh_agent "$work/agent" --mca btl self,tcp
    --mca btl_tcp_if_include 10.77.0.0/24 --mca oob_tcp_if_include 10.77.0.0/24
    --mca oob_tcp_keepalive_time 2 --mca oob_tcp_keepalive_intvl 1
    --mca oob_tcp_keepalive_probes 2)
train=(train --model mlp:16 --batch 16 --save-steps 5 --replicas-to-aggregate 4
    --pruning pruning_frequency=5,sparsity_function_end_step=50)
on_one() { ip netns exec "$one" unshare --uts sh -c 'hostname one; exec "$0" "$@"' "$@"; }

echo "two hosts over TCP, against one process"
on_one timeout 120 "${launch[@]}" "$program" "${train[@]}" --steps 60 --logdir "$work/two"
"$program" "${train[@]}" --steps 60 --logdir "$work/one" >/dev/null
for file in model optimizer; do
    cmp "$work"/{one,two}/ckpt-000000000060/$file.safetensors
done

echo "a cut link"
on_one timeout 120 "${launch[@]}" "$program" "${train[@]}" --steps 1000000 --watchdog 5 \
    --logdir "$work/cut" >"$work/log" 2>&1 &
job=$!
until compgen -G "$work/cut/ckpt-*" >/dev/null; do
    kill -0 $job || { cat "$work/log"; exit 1; }
    sleep 0.1
done
cut=$(date +%s%N)
ip -n "$one" link set "$one_end" down
code=0
wait $job || code=$?
took=$((($(date +%s%N) - cut) / 1000000))
grep -v '^saved' "$work/log" | tail -n 20
echo "mpirun ended with $code, $took ms after the cut"
# 205 is mpirun's own, for a host that is out of reach.
[[ $code == 71 || $code == 205 ]] && ((took < 30000))
for _ in $(seq 100); do
    left=$(for host in "$one" "$two"; do ip netns pids "$host"; done)
    [[ -z $left ]] && break
    sleep 0.1
done
[[ -z $left ]] || { echo "processes that stay: $left"; exit 1; }
echo "nothing is left on either host"
