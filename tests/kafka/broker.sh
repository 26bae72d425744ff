#!/bin/sh
# One Apache Kafka broker for the tests: KRaft, one process, loopback only.
#
#   broker.sh fetch <lib>           jars into <lib>, once (Maven)
#   broker.sh run <lib> <dir>       broker of <dir>/server.properties, in the foreground; formats <dir>/data if new.
#                                   Ends when standard input closes, so that no broker outlives its test, and removes
#                                   <dir>; the word `keep` before the close keeps it for another `run`.
# The process id of java is in <dir>/pid. `kill -9` it and `run` again: the same port, the same data.
set -eu

here=$(cd "$(dirname "$0")" && pwd)

need() {
    command -v "$1" >/dev/null 2>&1 || {
        echo "broker tests need $1: sudo apt-get install -y maven openjdk-17-jre-headless" >&2
        exit 3
    }
}

java_for() {
    # One compiler tier and the serial collector: the broker shares the machine with the tests.
    exec java -Xms64m -Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xshare:auto \
        -Dorg.slf4j.simpleLogger.logFile=System.out -Dorg.slf4j.simpleLogger.defaultLogLevel=warn \
        -cp "$lib/*" "$@"
}

case "${1:-}" in
fetch)
    lib=$2
    need java
    need mvn
    mkdir -p "$lib"
    # Several test processes may start at once; the first one fetches.
    exec 9>"$lib.lock"
    flock 9
    if ! cmp -s "$here/pom.xml" "$lib/.pom"; then
        rm -f "$lib"/*.jar
        mvn -q -B -f "$here/pom.xml" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$lib"
        cp "$here/pom.xml" "$lib/.pom"
    fi
    ;;
run)
    lib=$2
    dir=$3
    need java
    if [ ! -f "$dir/data/meta.properties" ]; then
        (java_for kafka.tools.StorageTool format --standalone -t "$(cat "$dir/cluster")" -c "$dir/server.properties") \
            >>"$dir/format.log" 2>&1
    fi
    (java_for kafka.Kafka "$dir/server.properties") >>"$dir/broker.log" 2>&1 </dev/null &
    pid=$!
    echo "$pid" >"$dir/pid"
    # The reader of standard input ends the broker when whoever started us is gone, however it went.
    last=$(cat)
    kill -9 "$pid" 2>/dev/null || true
    [ "$last" = keep ] || rm -rf "$dir"
    ;;
*)
    sed -n '2,9p' "$0" >&2
    exit 2
    ;;
esac
