#!/bin/bash
#$ -q long
#$ -P na-conductors
#$ -l gpu=1,h_vmem=4000M
#$ -l h_rt=02:00:00
#$ -pe smp 4
#$ -S /bin/bash

cd /scratch/haloflow/job
module load gcc/13
module load cuda/12
export PATH="/opt/haloflow/bin:$PATH"
export HALOFLOW_FILES_DIR="/shared/haloflow-files"
export HALOFLOW_THREADS_PER_WORKER=4
export HALOFLOW_DEVICE=cuda
export OMP_NUM_THREADS=4

jf -fe execution run /scratch/haloflow/job
