#!/bin/bash -l

#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=16
#SBATCH --gpus-per-node=1
#SBATCH --time=02:00:00
#SBATCH --partition=long
#SBATCH --account=na-conductors
#SBATCH --job-name=haloflow
#SBATCH --output=haloflow-%j.out
#SBATCH --error=haloflow-%j.error
#SBATCH --mem=64000M


module load gcc/13
module load cuda/12
export PATH="/opt/haloflow/bin:$PATH"
export HALOFLOW_FILES_DIR="/shared/haloflow-files"
export HALOFLOW_THREADS_PER_WORKER=4
export HALOFLOW_DEVICE=cuda
export OMP_NUM_THREADS=4
export HALOFLOW_WALLTIME_S=7080
export HALOFLOW_SIDE_BY_SIDE=4
job="${SLURM_JOB_ID:-${PBS_JOBID:-${JOB_ID:-$LSB_JOBID}}}"
export CUDA_MPS_PIPE_DIRECTORY="${TMPDIR:-/tmp}/haloflow-mps-$job"
export CUDA_MPS_LOG_DIRECTORY="$CUDA_MPS_PIPE_DIRECTORY"
if command -v nvidia-cuda-mps-control > /dev/null; then
    mkdir -p "$CUDA_MPS_PIPE_DIRECTORY"
    nvidia-cuda-mps-control -d
fi
export FW_CONFIG_FILE=CONFIGURATION/FW_config.yaml
export JOBFLOW_CONFIG_FILE=CONFIGURATION/jobflow.yaml

cd /scratch/haloflow/launcher
exec /opt/haloflow/bin/python -m haloflow.workflows.managers.fireworks_packed

# CommonAdapter (SLURM) completed writing Template
