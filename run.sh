#!/bin/bash
# Builds Apium and runs a real job on it: counts the words of every file in a folder, one task for each file.
#
# Usage: ./run.sh [FOLDER]     counts words (default: /usr/share/common-licenses), prints the result, stops everything
#        ./run.sh serve        starts the platform and leaves it up until Ctrl-C
#
# Data, logs: ./data, or $APIUM_DATA. Everything listens on 127.0.0.1; a port that is taken is replaced by a free one.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
source tools/environment.sh

mode=job
folder=/usr/share/common-licenses
case "${1:-}" in
  -h | --help)
    sed -n '2,7s/^# \{0,1\}//p' "$0"
    exit 0
    ;;
  serve) mode=serve ;;
  -*)
    echo "run.sh: unknown option $1; see ./run.sh --help" >&2
    exit 2
    ;;
  "") ;;
  *) folder="$(realpath -m "$1")" ;;
esac
if [ "${mode}" = job ] && [ ! -d "${folder}" ]; then
  echo "run.sh: ${folder} is not a folder" >&2
  exit 2
fi

data="$(realpath -m "${APIUM_DATA:-data}")"
ready_seconds=120 # recovery of a large store on a slow disk
stop_seconds=60   # a worker finishes its tasks first

say "Debian packages"
tools/install_packages.sh

say "Building (the first time compiles everything: some minutes)"
targets=(//:apium-broker //:apium-results //:apium-worker //:apium //examples/count_words)
run_bazel build "${targets[@]}" </dev/null
bin="$(run_bazel info bazel-bin 2>/dev/null </dev/null)"

run_folder="$(mktemp -d)"
mkdir -p "${data}/logs"
declare -A pid grpc_port http_port
started=() # names of the running servers, in the order of their start

# alive NAME: whether the server still runs.
alive() {
  kill -0 "${pid[$1]}" 2>/dev/null
}

# stop NAME: asks the server to finish, and kills it if it does not.
stop() {
  local name="$1" deadline=$((SECONDS + stop_seconds))
  kill -TERM "${pid[${name}]}" 2>/dev/null || true
  while alive "${name}"; do
    if [ "${SECONDS}" -ge "${deadline}" ]; then
      echo "run.sh: ${name} did not stop within ${stop_seconds} s; killing it" >&2
      kill -KILL "${pid[${name}]}" 2>/dev/null || true
      break
    fi
    sleep 0.05
  done
  wait "${pid[${name}]}" 2>/dev/null || true
}

stop_all() {
  local i
  trap '' INT TERM # a second Ctrl-C must not leave servers behind
  for ((i = ${#started[@]} - 1; i >= 0; i--)); do
    stop "${started[i]}"
  done
  started=()
  rm -rf "${run_folder}"
}
trap stop_all EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# free_port PORT: the port if nobody listens there, else 0, which means any free one.
free_port() {
  if (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; then
    echo 0
  else
    echo "$1"
  fi
}

# ready PORT: whether the server's /readyz answers 200.
ready() {
  local status=""
  { exec 3<>"/dev/tcp/127.0.0.1/$1"; } 2>/dev/null || return 1
  printf 'GET /readyz HTTP/1.0\r\nHost: localhost\r\n\r\n' >&3 2>/dev/null || true
  read -r -t 5 _ status _ <&3 || true
  exec 3<&- 3>&-
  [ "${status}" = 200 ]
}

# start NAME GRPC_PORT HTTP_PORT COMMAND...: starts a server and waits until it is ready. GRPC_PORT "none": it has none.
start() {
  local name="$1" grpc="$2" http="$3" listen=()
  shift 3
  if [ "${grpc}" != none ]; then
    listen=(--listen="127.0.0.1:$(free_port "${grpc}")")
  fi
  local log="${data}/logs/${name}.log" port_file="${run_folder}/${name}.ports" log_start
  log_start="$(stat -c %s "${log}" 2>/dev/null || echo 0)"
  printf '  %-14s ' "${name}"
  # A session of its own: Ctrl-C reaches this script alone, which stops the servers in their order.
  setsid "$@" "${listen[@]}" --http-listen="127.0.0.1:$(free_port "${http}")" --port-file="${port_file}" \
    </dev/null >>"${log}" 2>&1 &
  pid[${name}]=$!
  started+=("${name}")

  local deadline=$((SECONDS + ready_seconds))
  until [ -s "${port_file}" ] && http_port[${name}]="$(sed -n 's/^http=//p' "${port_file}")" &&
    ready "${http_port[${name}]}"; do
    if ! alive "${name}" || [ "${SECONDS}" -ge "${deadline}" ]; then
      echo "did not start. ${log} says:" >&2
      tail -c "+$((log_start + 1))" "${log}" | tail -n 20 >&2
      exit 1
    fi
    sleep 0.05
  done
  grpc_port[${name}]="$(sed -n 's/^grpc=//p' "${port_file}")"
  if [ "${grpc}" = none ]; then
    echo "ready: HTTP 127.0.0.1:${http_port[${name}]}"
  else
    echo "ready: gRPC 127.0.0.1:${grpc_port[${name}]}, HTTP 127.0.0.1:${http_port[${name}]}"
  fi
}

say "Starting the platform (data and logs: ${data})"
start apium-results 7451 9091 "${bin}/results/apium-results" --data="${data}/results"
start apium-broker 7450 9090 "${bin}/broker/apium-broker" --data="${data}/broker" \
  --results="127.0.0.1:${grpc_port[apium-results]}"
broker="127.0.0.1:${grpc_port[apium-broker]}"
start apium-worker none 9092 "${bin}/worker/apium-worker" --broker="${broker}" --concurrency="$(nproc)"

where_to_look() {
  local name
  for name in apium-broker apium-results apium-worker; do
    echo "  metrics of ${name}: http://127.0.0.1:${http_port[${name}]}/metrics"
  done
  echo "  data and logs: ${data}"
}

if [ "${mode}" = serve ]; then
  say "Apium is up. Ctrl-C stops it."
  cat <<EOF
  In another terminal:
    export PATH="${bin}/cli:\$PATH" APIUM_ADDRESS=${broker} APIUM_RESULTS_ADDRESS=127.0.0.1:${grpc_port[apium-results]}
    apium task submit apium.echo hello --wait
    apium task list
    apium queue list
  Any gRPC tool: ${broker} serves apium.v1.TaskService and QueueService with reflection.
EOF
  where_to_look
  while true; do
    for name in "${started[@]}"; do
      if ! alive "${name}"; then
        echo "run.sh: ${name} ended. The end of ${data}/logs/${name}.log:" >&2
        tail -n 20 "${data}/logs/${name}.log" >&2
        exit 1
      fi
    done
    sleep 0.5
  done
fi

say "Counting the words of the files in ${folder}"
"${bin}/examples/count_words/count_words" --broker="${broker}" "${folder}"

say "Where to look (metrics: while the platform runs)"
where_to_look

say "Stopping"
stop_all
echo "  all stopped; ./run.sh serve leaves the platform up"
