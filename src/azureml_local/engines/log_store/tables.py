"""The tables of the log store: their columns and types, as in Azure Monitor's reference.

https://learn.microsoft.com/azure/azure-monitor/reference/tables/amlcomputejobevent, …/amlcomputeclusterevent,
…/amlcomputeclusternodeevent (the one without ``_ResourceId``), …/amlrunstatuschangedevent,
…/amlonlineendpointtrafficlog, …/amlonlineendpointconsolelog, …/amlonlineendpointeventlog, …/autoscaleevaluationslog and
…/autoscalescaleactionslog. A table has the name of the log category that fills it; those of autoscale end with ``Log``.
"""

from __future__ import annotations

from collections.abc import Mapping

Columns = Mapping[str, str]  # Kusto's types by the columns' names

# https://learn.microsoft.com/azure/azure-monitor/logs/log-standard-columns
STANDARD: Columns = {
    "TenantId": "string",
    "TimeGenerated": "datetime",
    "Type": "string",
    "SourceSystem": "string",
    "_BilledSize": "real",
    "_IsBillable": "string",
}
OF_RESOURCE: Columns = {"_ResourceId": "string", "_SubscriptionId": "string"}


def _columns(kind: str, names: str) -> Columns:
    return dict.fromkeys(names.split(), kind)


TABLES: Mapping[str, Columns] = {
    "AmlComputeJobEvent": {
        **STANDARD,
        **OF_RESOURCE,
        **_columns(
            "string",
            "ClusterId ClusterName ClusterResourceGroupName CreationApiVersion CustomerSubscriptionId ErrorDetails "
            "EventType ExecutionState ExperimentId ExperimentName InternalOperationName JobErrorMessage JobId JobName "
            "NodeId OperationName ProvisioningState ResourceGroupName ResultSignature RunInContainer "
            "TFParameterServerCount TFWorkerCount ToolType WorkspaceName",
        ),
    },
    "AmlComputeClusterEvent": {
        **STANDARD,
        **OF_RESOURCE,
        **_columns(
            "string",
            "AllocationState ClusterErrorCodes ClusterName ClusterType CreatedBy CreationApiVersion EventType "
            "InternalOperationName IsResizeGrow NodeDeallocationOption Offer OperationName PreemptedNodeCount "
            "ProvisioningState Publisher QuotaAllocated QuotaUtilized ResultSignature ScalingType Sku SubnetId Version "
            "VmFamilyName VmPriority VmSize",
        ),
        **_columns("datetime", "AllocationStateTransitionTime"),
        **_columns(
            "int",
            "CoreCount CurrentNodeCount IdleNodeCount InitialNodeCount LeavingNodeCount MaximumNodeCount "
            "MinimumNodeCount NodeIdleTimeSecondsBeforeScaleDown PreparingNodeCount RunningNodeCount TargetNodeCount "
            "UnusableNodeCount",
        ),
    },
    "AmlComputeClusterNodeEvent": {
        **STANDARD,
        **_columns(
            "string",
            "ClusterCreationTime ClusterName InternalOperationName NodeId Offer OperationName Publisher "
            "ResultSignature Sku TotalE2ETimeInSeconds Version VmFamilyName VmPriority VmSize",
        ),
        **_columns(
            "datetime",
            "NodeAllocationTime NodeBootTime ResizeEndTime ResizeStartTime StartTaskEndTime StartTaskStartTime",
        ),
    },
    "AmlRunStatusChangedEvent": {
        **STANDARD,
        **OF_RESOURCE,
        **_columns(
            "string",
            "CallerIpAddress CorrelationId DurationMs Identity Level Location Message OperationName OperationVersion "
            "ParentRunId ResultDescription ResultSignature ResultType RootRunId RunId Status TriggeringUserName "
            "WorkspaceId WorkspaceName",
        ),
    },
    "AmlOnlineEndpointTrafficLog": {
        **STANDARD,
        **OF_RESOURCE,
        **_columns(
            "string",
            "AuthType AzureMLWorkspaceId AzureMLWorkspaceName DeploymentName EndpointName IdentityData Location Method "
            "ModelStatusReason OperationName Path Protocol ResponseCodeReason UserAgent XMSClientRequestId XRequestId",
        ),
        **_columns(
            "int",
            "ModelStatusCode RequestDurationMs RequestPayloadSize RequestThrottlingDelayMs ResponseCode "
            "ResponseDurationMs ResponsePayloadSize ResponseThrottlingDelayMs TotalDurationMs",
        ),
    },
    "AmlOnlineEndpointConsoleLog": {
        **STANDARD,
        **OF_RESOURCE,
        **_columns("string", "ContainerImageName ContainerName DeploymentName InstanceId Message OperationName"),
    },
    "AmlOnlineEndpointEventLog": {
        **STANDARD,
        **OF_RESOURCE,
        **_columns("string", "DeploymentName InstanceId Message Name OperationName"),
    },
    "AutoscaleEvaluationsLog": {
        **STANDARD,
        **OF_RESOURCE,
        **_columns(
            "string",
            "AutoscaleMetricName AvailabilitySet Category CloudServiceName CloudServiceRole CorrelationId "
            "DeploymentSlot EstimateScaleResult EvaluationResult InstanceUpdateReason LastScaleActionOperationId "
            "LastScaleActionOperationStatus MetricData MetricNamespace MetricTimeGrain OperationName Operator Profile "
            "ResourceId ResultDescription ResultType SelectedAutoscaleProfile ServerFarm TargetResourceId "
            "TimeAggregationType TimeGrainStatistic TimeWindow Webspace",
        ),
        **_columns(
            "int",
            "CoolDown CurrentInstanceCount DefaultInstanceCount MaximumInstanceCount MinimumInstanceCount "
            "NewInstanceCount",
        ),
        **_columns(
            "datetime", "EvaluationTime LastScaleActionTime MetricEndTime MetricStartTime ProfileEvaluationTime"
        ),
        **_columns("real", "ObservedValue Projection Threshold"),
        **_columns(
            "bool",
            "ProfileSelected ShouldUpdateInstance SkipCurrentAutoscaleEvaluation SkipRuleEvaluationForCooldown",
        ),
    },
    "AutoscaleScaleActionsLog": {
        **STANDARD,
        **OF_RESOURCE,
        **_columns(
            "string",
            "Category CorrelationId CreatedAsyncScaleActionJobId OperationName ResourceId ResultDescription ResultType "
            "ScaleActionMessage ScaleActionOperationId ScaleActionOperationStatus ScaleDirection TargetResourceId",
        ),
        **_columns("int", "CurrentInstanceCount NewInstanceCount"),
        **_columns("bool", "CreatedAsyncScaleActionJob"),
    },
}
