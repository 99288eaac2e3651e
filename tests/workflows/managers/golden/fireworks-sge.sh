#!/bin/bash
#$ -S /bin/bash
#$ -cwd
#$ -l h_rt=02:00:00
#$ -pe smp 4
#$ -l gpu=1
#$ -l h_vmem=4000M
#$ -q long
#$ -P na-conductors
#$ -N haloflow
#$ -o FW_job.out
#$ -e FW_job.error

module load gcc/13
module load cuda/12
export PATH="/opt/haloflow/bin:$PATH"
export HALOFLOW_FILES_DIR="/shared/haloflow-files"
export HALOFLOW_THREADS_PER_WORKER=4
export HALOFLOW_DEVICE=cuda
export OMP_NUM_THREADS=4
export FW_CONFIG_FILE=CONFIGURATION/FW_config.yaml
export JOBFLOW_CONFIG_FILE=CONFIGURATION/jobflow.yaml

cd /scratch/haloflow/launcher
exec /opt/haloflow/bin/rlaunch -c CONFIGURATION singleshot
