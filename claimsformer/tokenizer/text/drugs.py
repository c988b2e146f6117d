"""Nonproprietary names of drugs that claims mention often: the default list, to be replaced at will."""

from __future__ import annotations

__all__ = ["DEFAULT_DRUGS"]

_NAMES = """
abatacept; abiraterone; acarbose; acetaminophen; acyclovir; adalimumab; albuterol; alendronate; allopurinol; alprazolam;
alteplase; amiodarone; amitriptyline; amlodipine; amoxicillin; amphotericin; ampicillin; anastrozole; apixaban;
aripiprazole; aspirin; atenolol; atomoxetine; atorvastatin; azathioprine; azithromycin; baclofen; beclomethasone;
benazepril; benzonatate; bevacizumab; bicalutamide; bisoprolol; bortezomib; brimonidine; budesonide; bumetanide;
buprenorphine; bupropion; buspirone; calcitriol; canagliflozin; candesartan; capecitabine; captopril; carbamazepine;
carbidopa; carboplatin; carvedilol; cefazolin; cefdinir; cefepime; ceftriaxone; cefuroxime; celecoxib; cephalexin;
cetirizine; chlorthalidone; cinacalcet; ciprofloxacin; cisplatin; citalopram; clarithromycin; clindamycin; clonazepam;
clonidine; clopidogrel; clozapine; colchicine; cyanocobalamin; cyclobenzaprine; cyclophosphamide; cyclosporine;
dabigatran; dapagliflozin; daptomycin; darbepoetin; denosumab; desloratadine; desvenlafaxine; dexamethasone;
dexmethylphenidate; diazepam; diclofenac; dicyclomine; digoxin; diltiazem; diphenhydramine; divalproex; docetaxel;
docusate; donepezil; doxazosin; doxorubicin; doxycycline; dulaglutide; duloxetine; dutasteride; empagliflozin;
enalapril; enoxaparin; entecavir; epinephrine; epoetin alfa; eplerenone; ergocalciferol; ertapenem; erythromycin;
escitalopram; esomeprazole; estradiol; eszopiclone; etanercept; ethambutol; etoposide; everolimus; exenatide;
ezetimibe; famotidine; febuxostat; fenofibrate; fentanyl; ferrous sulfate; fexofenadine; filgrastim; finasteride;
fluconazole; fluorouracil; fluoxetine; fluticasone; folic acid; fosinopril; furosemide; gabapentin; gemcitabine;
gemfibrozil; gentamicin; glimepiride; glipizide; glyburide; guaifenesin; guanfacine; haloperidol; heparin;
hydralazine; hydrochlorothiazide; hydrocodone; hydrocortisone; hydromorphone; hydroxychloroquine; hydroxyzine;
ibuprofen; imatinib; infliximab; insulin aspart; insulin glargine; insulin lispro; ipratropium; irbesartan; isoniazid;
isosorbide mononitrate; ivermectin; ketoconazole; ketorolac; labetalol; lacosamide; lamivudine; lamotrigine;
lansoprazole; latanoprost; leflunomide; letrozole; leucovorin; levetiracetam; levocetirizine; levofloxacin;
levothyroxine; lidocaine; linagliptin; linezolid; liraglutide; lisdexamfetamine; lisinopril; lithium carbonate;
loperamide; loratadine; lorazepam; losartan; lovastatin; meclizine; medroxyprogesterone; meloxicam; memantine;
meropenem; mesalamine; metformin; methadone; methocarbamol; methotrexate; methylphenidate; methylprednisolone;
metoclopramide; metolazone; metoprolol; metronidazole; midodrine; minocycline; mirtazapine; modafinil; mometasone;
montelukast; morphine; moxifloxacin; mupirocin; mycophenolate; nabumetone; naloxone; naltrexone; naproxen; nebivolol;
niacin; nifedipine; nitrofurantoin; nitroglycerin; norethindrone; nortriptyline; nystatin; octreotide; olanzapine;
olmesartan; omeprazole; ondansetron; oseltamivir; oxaliplatin; oxcarbazepine; oxybutynin; oxycodone; paclitaxel;
paliperidone; pantoprazole; paroxetine; pegfilgrastim; pembrolizumab; penicillin; phenazopyridine; phentermine;
phenytoin; pioglitazone; piperacillin; polyethylene glycol; potassium chloride; pramipexole; prasugrel; pravastatin;
prednisolone; prednisone; pregabalin; prochlorperazine; promethazine; propranolol; pyridostigmine; quetiapine;
quinapril; rabeprazole; raloxifene; ramipril; ranibizumab; ranolazine; rifampin; risedronate; risperidone; rituximab;
rivaroxaban; rizatriptan; ropinirole; rosuvastatin; sacubitril; salmeterol; semaglutide; sertraline; sevelamer;
sildenafil; simvastatin; sitagliptin; solifenacin; spironolactone; sucralfate; sulfamethoxazole; sulfasalazine;
sumatriptan; tacrolimus; tadalafil; tamoxifen; tamsulosin; telmisartan; temazepam; tenofovir; terazosin; terbinafine;
teriparatide; testosterone; ticagrelor; timolol; tiotropium; tirzepatide; tizanidine; tobramycin; tolterodine;
topiramate; torsemide; tramadol; trastuzumab; trazodone; triamcinolone; triamterene; trimethoprim; ursodiol;
valacyclovir; valproate; valsartan; vancomycin; varenicline; venlafaxine; verapamil; vilazodone; voriconazole;
vortioxetine; warfarin; zidovudine; zoledronic acid; zolpidem; zonisamide
"""

DEFAULT_DRUGS: tuple[str, ...] = tuple(sorted(" ".join(name.split()) for name in _NAMES.split(";")))
