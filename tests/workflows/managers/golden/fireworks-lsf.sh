#!/bin/bash
#BSUB -L /bin/bash
#BSUB -n 4
#BSUB -R "span[hosts=1]"
#BSUB -W 02:00
#BSUB -gpu "num=1"
#BSUB -M 16000MB
#BSUB -R "rusage[mem=4000MB]"
#BSUB -q long
#BSUB -P na-conductors
#BSUB -J haloflow
#BSUB -o haloflow-%J.out
#BSUB -e haloflow-%J.error

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
