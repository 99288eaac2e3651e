#!/bin/bash
#SBATCH --partition=long
#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=16
#SBATCH --mem=64000M
#SBATCH --time=02:00:00
#SBATCH --account=na-conductors
#SBATCH --gres=gpu:1

cd /scratch/haloflow/job
module load gcc/13
module load cuda/12
export PATH="/opt/haloflow/bin:$PATH"
export HALOFLOW_FILES_DIR="/shared/haloflow-files"
export HALOFLOW_THREADS_PER_WORKER=4
export HALOFLOW_DEVICE=cuda
export OMP_NUM_THREADS=4
export HALOFLOW_WALLTIME_S=3540
export HALOFLOW_SIDE_BY_SIDE=4
job="${SLURM_JOB_ID:-${PBS_JOBID:-${JOB_ID:-$LSB_JOBID}}}"
export CUDA_MPS_PIPE_DIRECTORY="${TMPDIR:-/tmp}/haloflow-mps-$job"
export CUDA_MPS_LOG_DIRECTORY="$CUDA_MPS_PIPE_DIRECTORY"
if command -v nvidia-cuda-mps-control > /dev/null; then
    mkdir -p "$CUDA_MPS_PIPE_DIRECTORY"
    nvidia-cuda-mps-control -d
fi

jf -fe execution run /scratch/haloflow/job
