"""Manifests to read: a real one, and small ones written by hand in the structure of each dialect."""

from __future__ import annotations

from pathlib import Path

import pytest

HC10 = Path(__file__).parents[2] / ".." / "shared" / "data" / "mtp" / "HC10.aml"


def hc10() -> bytes:
    """The manifest of a real module, which this repository does not hold."""
    if not HC10.exists():
        pytest.skip("no ../shared/data/mtp/HC10.aml beside this checkout")
    return HC10.read_bytes()


def attribute(name: str, value: str, kind: str = "xs:string", ref: str = "") -> str:
    ref = f' RefAttributeType="{ref}"' if ref else ""
    return f'<Attribute Name="{name}" AttributeDataType="{kind}"{ref}><Value>{value}</Value></Attribute>'


LINK = "MTPATLib/IDReferenceType/IDLinkAttributeType"


def old_dialect(*, drafts: bool = False) -> bytes:
    """Manifest 1.0.0 in CAEX 2.15: xs:IDREF links, an ExternalDataConnector, and the class paths of drafts if asked for."""
    procedure = "MTPServiceSUCLib/ServiceProcedure" if drafts else "MTPServiceSUCLib/Service/Procedure"
    control = "MTPDataObjectSUCLib/DataAssembly/ServiceControl" if drafts else "MTPDataObjectSUCLib/DataAssembly/ServiceElement/ServiceControl"
    param = "OperationElement" if drafts else "ServiceElement/ParameterElement"
    item = lambda key, tag: (  # noqa: E731
        f'<ExternalInterface Name="{tag}" ID="{key}" RefBaseClassPath="MTPCommunicationICLib/DataItem/OPCUAItem">'
        f"{attribute('Identifier', tag)}{attribute('Namespace', 'urn:maker')}{attribute('Access', '3', 'xs:unsignedByte')}</ExternalInterface>"
    )
    link = lambda name, key: attribute(name, key, "xs:IDREF")  # noqa: E731
    return f"""<?xml version="1.0" encoding="utf-8"?>
<CAEXFile FileName="m.aml" SchemaVersion="2.15">
<AdditionalInformation DocumentVersions="Recommendations">
<Document DocumentIdentifier="VDI/VDE/NAMUR 2658-1" Version="1.0.0"/></AdditionalInformation>
<InstanceHierarchy Name="ModuleTypePackage" ID="h1">
<InternalElement Name="Doser" ID="m" RefBaseSystemUnitPath="MTPSUCLib/ModuleTypePackage">
<Version>2.1.0</Version>
<InternalElement Name="Services" ID="s" RefBaseSystemUnitPath="MTPServiceSUCLib/ServiceSet">
<ExternalInterface Name="r" ID="r" RefBaseClassPath="AutomationMLInterfaceClassLib/AutomationMLBaseInterface/ExternalDataConnector">
{attribute("refURI", "#h2", "xs:anyURI")}</ExternalInterface></InternalElement>
<InternalElement Name="Communication" ID="c" RefBaseSystemUnitPath="MTPSUCLib/CommunicationSet">
<InternalElement Name="InstanceList" ID="i" RefBaseSystemUnitPath="MTPSUCLib/CommunicationSet/InstanceList">
<InternalElement Name="Dose" ID="d1" RefBaseSystemUnitPath="{control}">{attribute("TagName", "Dose")}{attribute("RefID", "ref1", "xs:ID")}
{link("StateCur", "v1")}{link("CommandExt", "v2")}{link("CommandEn", "v9")}</InternalElement>
<InternalElement Name="Amount" ID="d2" RefBaseSystemUnitPath="MTPDataObjectSUCLib/DataAssembly/{param}/AnaServParam">
{attribute("RefID", "ref0", "xs:ID")}{attribute("RefID", "ref2", "xs:ID")}{link("VExt", "v3")}{attribute("VUnit", "1038", "xs:int")}</InternalElement>
</InternalElement>
<InternalElement Name="Sources" ID="x" RefBaseSystemUnitPath="MTPSUCLib/CommunicationSet/SourceList">
<InternalElement Name="Server" ID="y" RefBaseSystemUnitPath="MTPCommunicationSUCLib/ServerAssembly/OPCUAServer">{attribute("Endpoint", "opc.tcp://doser:4840")}
{item("v1", "Dose.StateCur")}{item("v2", "Dose.CommandExt")}{item("v3", "Amount.VExt")}</InternalElement></InternalElement>
</InternalElement></InternalElement></InstanceHierarchy>
<InstanceHierarchy Name="anything" ID="h2">
<InternalElement Name="Dose" ID="q" RefBaseSystemUnitPath="MTPServiceSUCLib/Service">{attribute("RefID", "ref1", "xs:ID")}
<InternalElement Name="ByVolume" ID="p" RefBaseSystemUnitPath="{procedure}">
{attribute("ProcedureID", "3", "xs:IDREF")}{attribute("IsSelfCompleting", "True", "xs:IDREF")}{attribute("IsDefault", "true", "xs:boolean")}
<InternalElement Name="Amount" ID="pp" RefBaseSystemUnitPath="MTPServiceSUCLib/ServiceParameter/ProcedureParameter">
{attribute("RefID", "ref2", "xs:ID")}</InternalElement>
<InternalElement Name="Dosed" ID="pr" RefBaseSystemUnitPath="MTPServiceSUCLib/ServiceParameter/ReportValue">
{attribute("RefID", "nowhere", "xs:ID")}</InternalElement>
</InternalElement></InternalElement></InstanceHierarchy></CAEXFile>""".encode()
