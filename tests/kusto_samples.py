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
# What people ask of the logs of jobs; the lesson on monitoring asks most of it.
LATEST = "AmlComputeJobEvent | summarize arg_max(TimeGenerated, *) by JobId"
OF_JOBS = (
    f"{LATEST} | summarize Jobs = count() by ExecutionState",
    f"{LATEST} | where ExecutionState == 'queued' and TimeGenerated < ago(15m) | project JobName, ClusterName",
    "AmlComputeJobEvent | where JobErrorMessage has 'Error' "
    "| extend Kind = extract(@'([A-Za-z]+Error): ([^\\n]+)', 1, JobErrorMessage, typeof(string)) "
    "| summarize Failures = count(), make_set(JobName), take_any(ErrorDetails) by Kind | top 5 by Failures",
    "AmlComputeJobEvent | summarize Submitted = minif(TimeGenerated, EventType == 'JobSubmitted'), "
    "Ended = maxif(TimeGenerated, ExecutionState in ('succeeded', 'failed')) by JobId, ClusterName "
    "| extend Took = Ended - Submitted | summarize avg(Took), percentiles(Took / 1s, 50, 95) by ClusterName",
    "AmlComputeJobEvent | order by JobId asc, TimeGenerated asc | serialize "
    "| extend Left = next(TimeGenerated) - TimeGenerated, row = row_number() | where next(JobId) == JobId",
    "AmlComputeJobEvent | make-series Jobs = dcount(JobId) default = 0 on TimeGenerated "
    "from datetime(2026-11-22) to datetime(2026-11-24) step 6h by ClusterName | mv-expand Jobs",
    "let runs = AmlRunStatusChangedEvent | where RootRunId == 'night' | distinct RunId; "
    "AmlComputeJobEvent | where JobId in (runs) | project-keep Job*, ExecutionState | distinct *",
    "search in (AmlComputeJobEvent, AmlRunStatusChangedEvent) 'fail*' and 'exit' | summarize count() by $table",
    "AmlComputeJobEvent | summarize Bytes = sum(_BilledSize), stdevif(_BilledSize, true) by bin(TimeGenerated, 1d) "
    "| extend Span = format_timespan(now() - TimeGenerated, 'd.hh:mm') | project-reorder Span | sample 10",
)
