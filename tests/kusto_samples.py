"""Microsoft's sample queries for the tables that are written here, and what operators of endpoints ask besides.

https://learn.microsoft.com/azure/azure-monitor/reference/queries/amlonlineendpointtrafficlog and its neighbours
(amlonlineendpointconsolelog, amlonlineendpointeventlog, amlcomputejobevent, amlcomputeclusterevent).
"""

from __future__ import annotations

TRAFFIC = """AmlOnlineEndpointTrafficLog
| where ResponseCode != "200" and ResponseCode != "100"
| project TimeGenerated, Location, OperationName, Method, Path, Subscription = _SubscriptionId, AzureMLWorkspaceId,
    EndpointName, DeploymentName, Protocol, ResponseCode, ResponseCodeReason, ModelStatusCode, ModelStatusReason,
    RequestPayloadSize, ResponsePayloadSize, UserAgent, XRequestId, XMSClientRequestId, TotalDurationMs,
    RequestDurationMs, ResponseDurationMs, RequestThrottlingDelayMs, ResponseThrottlingDelayMs
| top 100 by TimeGenerated"""
IDS = (
    '| parse kind=regex flags=i _ResourceId with ".*?/RESOURCEGROUPS/" ResourceGroup '
    '"/PROVIDERS/MICROSOFT.MACHINELEARNINGSERVICES/WORKSPACES/" Workspace "/ONLINEENDPOINTS/" EndpointName\n'
)
CONSOLE = f"""AmlOnlineEndpointConsoleLog
{IDS}| project TimeGenerated, Subscription = _SubscriptionId, ResourceGroup, Workspace, EndpointName, DeploymentName,
    InstanceId, ContainerName, ContainerImageName, Message
| top 100 by TimeGenerated"""
EVENTS = f"""AmlOnlineEndpointEventLog
| where Message contains "failed"
{IDS}| project TimeGenerated, Subscription = _SubscriptionId, ResourceGroup, Workspace, EndpointName, DeploymentName,
    InstanceId, Name, Message
| order by TimeGenerated desc
| take 100"""
LONGEST = """AmlComputeJobEvent
| where OperationName == "JobSubmitted"
| join kind = inner (AmlComputeJobEvent
        | where OperationName == "JobSucceeded"
        | project StopTime=TimeGenerated, JobId)
    on JobId
|project Duration=(StopTime-TimeGenerated), ExperimentName, WorkspaceName, ClusterName, JobName
|top 5 by Duration desc nulls last"""
OTHERS = (
    'AmlComputeJobEvent | where EventType == "JobFailed" | project  TimeGenerated, ClusterId, EventType, '
    "ExecutionState, ToolType, JobErrorMessage, ErrorDetails | limit 100",
    'AmlComputeJobEvent | where JobName == "automl_setup" | project TimeGenerated, ClusterId, EventType, '
    "ExecutionState, ToolType | limit 100",
    'AmlComputeClusterEvent | where VmSize == "STANDARD_D1_V2" | project  ClusterName, InitialNodeCount, '
    "MaximumNodeCount, QuotaAllocated, QuotaUtilized | limit 100",
    "AmlComputeClusterEvent | summarize avgRunningNodes=avg(TargetNodeCount), maxRunningNodes=max(TargetNodeCount) by "
    'Workspace=tostring(split(_ResourceId, "/")[8]), ClusterName, ClusterType, VmSize, VmPriority | limit 100',
    'AmlComputeClusterEvent | project TimeGenerated, WorkspaceName=split(_ResourceId, "/")[-1], ClusterName, '
    "ClusterType, VmSize, VmPriority, InitialNodeCount , IdleNodeCount, RunningNodeCount, PreparingNodeCount, "
    "MinimumNodeCount, MaximumNodeCount , CurrentNodeCount, TargetNodeCount |summarize round(sum(RunningNodeCount),1), "
    "round(sum(IdleNodeCount),1) by  Hourly=bin(TimeGenerated, 60m) | render timechart",
    # What operators of endpoints ask besides.
    "AmlOnlineEndpointTrafficLog | where TimeGenerated > ago(1h) | summarize count(), avg(TotalDurationMs), "
    "percentiles(TotalDurationMs, 50, 95, 99) by DeploymentName, bin(TimeGenerated, 1m)",
    "AmlOnlineEndpointTrafficLog | summarize Total = count(), Errors = countif(ResponseCode >= 500) by EndpointName "
    "| extend Rate = Errors * 100.0 / Total | where Rate >= 0",
    "AmlOnlineEndpointTrafficLog | where ResponseCode in ('429', '408') or "
    "(ResponseCode == '424' and ModelStatusCode == '500')",
    "AmlOnlineEndpointTrafficLog | summarize arg_max(TimeGenerated, *) by EndpointName",
    "AmlOnlineEndpointTrafficLog | join kind=inner (AmlOnlineEndpointConsoleLog | project Message, DeploymentName) on "
    "DeploymentName | where Message has XRequestId | project XRequestId, Message",
    "union withsource=Table AmlOnlineEndpointConsoleLog, AmlOnlineEndpointEventLog | summarize count() by Table",
    "union AmlOnline* | count",
    'AmlOnlineEndpointConsoleLog | extend Parts = split(Message, "|") | extend Data = parse_json(tostring(Parts[-1])) '
    "| mv-expand Data | project TimeGenerated, Data",
    "let slow = 100; let bad = AmlOnlineEndpointTrafficLog | where TotalDurationMs > slow; bad | count",
    "AmlOnlineEndpointTrafficLog | getschema",
)
