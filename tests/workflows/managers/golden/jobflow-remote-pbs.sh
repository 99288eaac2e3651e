#!/bin/bash
#PBS -q long
#PBS -A na-conductors
#PBS -l select=1:ncpus=4:ngpus=1:mem=16000mb
#PBS -l walltime=02:00:00

cd /scratch/haloflow/job
module load gcc/13
module load cuda/12
export PATH="/opt/haloflow/bin:$PATH"
export HALOFLOW_FILES_DIR="/shared/haloflow-files"
export HALOFLOW_THREADS_PER_WORKER=4
export HALOFLOW_DEVICE=cuda
export OMP_NUM_THREADS=4

jf -fe execution run /scratch/haloflow/job
