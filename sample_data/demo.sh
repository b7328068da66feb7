#!/bin/sh
# The whole idea on real data in five commands: usage: sh sample_data/demo.sh [FOLDER]   (needs alcli on the PATH)
set -eu
out=${1:-demo}
here=$(dirname "$0")
rm -rf "$out"
mkdir -p "$out"
step() { printf '\n$ %s\n' "$*"; "$@"; }

echo "1. Run the upstream model once over 1,797 images; from here on only its features are used."
step alcli embed "$here/digits.parquet" -m "torch:$here/digits-encoder.pt2" --layer features -o "$out/pool.parquet"

echo; echo "2. Fit a last-layer model with uncertainty to a handful of labels."
step alcli fit-head "$out/pool.parquet" -l "$here/digits-labels.csv" -o "$out/head.safetensors"

echo; echo "3. Choose ten images to label next."
step alcli query "$out/pool.parquet" -H "$out/head.safetensors" -s badge -n 10 -o "$out/to-label.csv"
cat "$out/to-label.csv"

echo; echo "4. Somebody labels them; the head absorbs the labels in milliseconds."
printf '\n$ python %s/annotate.py %s/to-label.csv > %s/answers.csv\n' "$here" "$out" "$out"
python "$here/annotate.py" "$out/to-label.csv" > "$out/answers.csv"
step alcli update "$out/head.safetensors" -P "$out/pool.parquet" -l "$out/answers.csv"

echo; echo "5. Which strategy would have paid off? Simulate it on the stored features."
step alcli simulate "$out/pool.parquet" -s margin,badge,coreset,typiclust -n 10 --rounds 8 --initial 20 --seeds 10 --jobs 2 -o "$out/simulation"
echo; echo "The learning curves are in $out/simulation/curves.png"
